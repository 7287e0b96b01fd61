package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// kubernetes are the endpoints of a service in Kubernetes: its EndpointSlices are listed, and their changes followed from there.
// Kubernetes API Concepts, "Efficient detection of changes".
type kubernetes struct {
	rule    *function.UpstreamKubernetes
	scheme  function.UpstreamScheme
	cluster Cluster
	secret  Secret
}

// status is what the API says instead of what it was asked for. Kubernetes API, meta/v1 Status.
type status struct {
	Message string
	Code    int
}

// Watch implements Source. It returns, to be called again, when the API no longer knows what has changed since the list.
func (k *kubernetes) Watch(ctx context.Context, take func([]Server)) error {
	api, err := k.open()
	if err != nil {
		return err
	}
	defer api.client.CloseIdleConnections() // the next one may have other authorities
	found, err := k.list(ctx, api)
	if err != nil {
		return err
	}
	if err := k.tell(found, take); err != nil {
		return err
	}
	for {
		switch known, err := k.follow(ctx, api, found, take); {
		case err != nil:
			return err
		case !known:
			return nil
		}
		select {
		case <-time.After(directoryPause):
		case <-ctx.Done():
			return nil
		}
	}
}

func (k *kubernetes) tell(found *endpoints, take func([]Server)) error {
	list, err := found.servers()
	if err != nil {
		return err
	}
	take(list)
	return nil
}

// question asks for the slices of the service. The manifest was checked; it is escaped nevertheless.
func (k *kubernetes) question(api *apiServer, query url.Values) (request, error) {
	query.Set("labelSelector", "kubernetes.io/service-name="+k.rule.Service)
	q := request{
		path:  "/apis/discovery.k8s.io/v1/namespaces/" + url.PathEscape(k.rule.InNamespace()) + "/endpointslices",
		query: query, header: http.Header{"Accept": {"application/json"}},
	}
	token, err := api.token()
	if err != nil {
		return q, err
	}
	if token != "" {
		q.header.Set("Authorization", "Bearer "+token)
	}
	return q, nil
}

func (k *kubernetes) list(ctx context.Context, api *apiServer) (*endpoints, error) {
	q, err := k.question(api, url.Values{})
	if err != nil {
		return nil, err
	}
	var all struct {
		Metadata struct{ ResourceVersion string }
		Items    []endpointSlice
	}
	if _, err := api.ask(ctx, q, directoryTime, &all); err != nil {
		return nil, explained(err)
	}
	found := newEndpoints(k.rule, k.scheme)
	for i := range all.Items {
		if err := found.put(&all.Items[i]); err != nil {
			return nil, err
		}
	}
	return found, found.move(all.Metadata.ResourceVersion)
}

// follow hears of changes until the API ends its answer, as it is asked to after a while: a connection that is lost may not say so. known is false
// when it has forgotten what was before, and the list is to be asked for anew.
func (k *kubernetes) follow(ctx context.Context, api *apiServer, found *endpoints, take func([]Server)) (known bool, err error) {
	q, err := k.question(api, url.Values{
		"watch": {"1"}, "allowWatchBookmarks": {"true"}, "resourceVersion": {found.version},
		"timeoutSeconds": {strconv.Itoa(int(directoryWait.Seconds()))},
	})
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, directoryWait+directoryTime)
	defer cancel()
	res, err := api.begin(ctx, q)
	if no := (*refusal)(nil); errors.As(err, &no) && no.status == http.StatusGone {
		return false, nil
	}
	if err != nil {
		return false, explained(err)
	}
	defer res.Body.Close()
	part := &io.LimitedReader{R: res.Body} // bounds each change, not all of them
	for in := json.NewDecoder(part); ; {
		part.N = maxDirectory
		var news change
		switch err := in.Decode(&news); {
		case err == nil:
		case part.N == 0:
			return false, fmt.Errorf("a change that Kubernetes tells is longer than %d bytes", maxDirectory)
		case errors.Is(err, io.EOF):
			return true, nil
		default:
			return false, fmt.Errorf("follow Kubernetes: %w", err)
		}
		known, err := news.apply(found)
		if err != nil || !known {
			return false, err
		}
		if news.Type == bookmark {
			continue
		}
		if err := k.tell(found, take); err != nil {
			return false, err
		}
	}
}

// change is one of those that the API tells of. Kubernetes API, meta/v1 WatchEvent.
type change struct {
	Type   string
	Object json.RawMessage // an EndpointSlice, or a Status
}

// bookmark only says how far everything has been told.
const bookmark = "BOOKMARK"

func (c *change) apply(found *endpoints) (known bool, err error) {
	if c.Type == "ERROR" {
		var s status
		if err := json.Unmarshal(c.Object, &s); err != nil {
			return false, fmt.Errorf("decode what Kubernetes says of an error: %w", err)
		}
		if s.Code == http.StatusGone {
			return false, nil
		}
		return false, &refusal{name: kubernetesName, status: s.Code, said: s.Message}
	}
	var s endpointSlice
	if err := json.Unmarshal(c.Object, &s); err != nil {
		return false, fmt.Errorf("decode a change of Kubernetes: %w", err)
	}
	switch c.Type {
	case "ADDED", "MODIFIED":
		err = found.put(&s)
	case "DELETED":
		delete(found.slices, s.Metadata.Name)
	case bookmark:
	default:
		err = fmt.Errorf("follow Kubernetes: it tells of a change of kind %.40q", c.Type)
	}
	if err != nil {
		return false, err
	}
	return true, found.move(s.Metadata.ResourceVersion)
}

// explained is a refusal in the words that the API has for people.
func explained(err error) error {
	no := (*refusal)(nil)
	if !errors.As(err, &no) {
		return err
	}
	var s status
	if json.Unmarshal([]byte(no.said), &s) != nil || s.Message == "" {
		return err
	}
	return &refusal{name: no.name, status: no.status, said: s.Message}
}
