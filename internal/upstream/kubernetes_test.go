package upstream

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/dalamb/dalamb/internal/function"
)

// fakeAPI answers as a Kubernetes API does, from what a test puts into it. What a real one says is tried through a node, in app.
type fakeAPI struct {
	*httptest.Server
	ca string

	mu     sync.Mutex
	token  string
	list   string        // the answer to a list
	asked  []string      // resourceVersions of watches
	began  chan struct{} // has a value for each watch
	events chan []string // what each watch tells before it ends; one that gets none hangs
}

func newFakeAPI(t *testing.T, list string) *fakeAPI {
	t.Helper()
	a := &fakeAPI{token: "t1", list: list, began: make(chan struct{}, 64), events: make(chan []string, 8)}
	a.Server = httptest.NewUnstartedServer(a)
	a.EnableHTTP2 = true // as the real one
	a.StartTLS()
	t.Cleanup(a.Close)
	a.ca = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate().Raw}))
	return a
}

func (a *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	a.mu.Lock()
	token, list := a.token, a.list
	if q.Has("watch") {
		a.asked = append(a.asked, q.Get("resourceVersion"))
	}
	a.mu.Unlock()
	refuse := func(status int, message string) {
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":%q,"code":%d}`, message, status)
	}
	switch {
	case r.Header.Get("Authorization") != "Bearer "+token:
		refuse(401, "Unauthorized")
	case r.URL.Path != "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices" || q.Get("labelSelector") != "kubernetes.io/service-name=search":
		refuse(404, "not here")
	case !q.Has("watch"):
		fmt.Fprint(w, list)
	case q.Get("allowWatchBookmarks") != "true" || q.Get("timeoutSeconds") != "60":
		refuse(400, "a watch for ever")
	default:
		w.(http.Flusher).Flush()
		a.began <- struct{}{}
		for {
			select {
			case lines := <-a.events:
				for _, line := range lines {
					fmt.Fprintln(w, line)
				}
				return
			case <-r.Context().Done():
				return
			}
		}
	}
}

// sliceText is an EndpointSlice of one port, whose endpoints are ready but for those whose address begins with "!".
func sliceText(name, version string, addresses ...string) string {
	var all []string
	for _, a := range addresses {
		at, sick := strings.CutPrefix(a, "!")
		all = append(all, fmt.Sprintf(`{"addresses":[%q],"conditions":{"ready":%t},"zone":"a"}`, at, !sick))
	}
	return fmt.Sprintf(`{"metadata":{"name":%q,"resourceVersion":%q},"addressType":"IPv4","endpoints":[%s],"ports":[{"name":"http","protocol":"TCP","port":80}]}`,
		name, version, strings.Join(all, ","))
}

func listText(version string, slices ...string) string {
	return fmt.Sprintf(`{"kind":"EndpointSliceList","metadata":{"resourceVersion":%q},"items":[%s]}`, version, strings.Join(slices, ","))
}

func changeText(kind, object string) string {
	return fmt.Sprintf(`{"type":%q,"object":%s}`, kind, object)
}

func inShop(a *fakeAPI) *function.Upstream {
	return &function.Upstream{Kubernetes: &function.UpstreamKubernetes{Service: "search", Namespace: "shop", URL: a.URL, Token: "kube", CA: a.ca}}
}

func withToken(text string) *Upstreams {
	return &Upstreams{o: Options{Secret: func(name string) ([]byte, int64, error) {
		if name != "kube" {
			return nil, 0, errors.New("no such secret")
		}
		return []byte(text), 1, nil
	}}}
}

func TestServersInKubernetes(t *testing.T) {
	a := newFakeAPI(t, listText("10", sliceText("a", "7", "10.0.0.1"), sliceText("b", "8", "10.0.0.2", "!10.0.0.3")))
	lists, ended := followed(t, withToken("t1\n").sourceOf(inShop(a)))
	await(t, lists, "http://10.0.0.1:80 0, http://10.0.0.2:80 0, http://10.0.0.3:80 0 it is not ready in Kubernetes")
	a.events <- []string{changeText("MODIFIED", sliceText("b", "11", "10.0.0.2", "10.0.0.3")), changeText("ADDED", sliceText("c", "12", "10.0.0.4"))}
	await(t, lists, "http://10.0.0.1:80 0, http://10.0.0.2:80 0, http://10.0.0.3:80 0, http://10.0.0.4:80 0")
	a.events <- []string{changeText("DELETED", sliceText("b", "13", "10.0.0.2"))}
	await(t, lists, "http://10.0.0.1:80 0, http://10.0.0.4:80 0")
	a.events <- []string{changeText("BOOKMARK", `{"kind":"EndpointSlice","metadata":{"resourceVersion":"90"}}`)}
	a.events <- []string{changeText("DELETED", sliceText("a", "91")), changeText("DELETED", sliceText("c", "92"))}
	await(t, lists, "")
	a.mu.Lock()
	asked := strings.Join(a.asked, " ")
	a.mu.Unlock()
	if !strings.HasPrefix(asked, "10 12 13 90") {
		t.Errorf("watches began at %s, want each where the last one ended: 10 12 13 90", asked)
	}
	select {
	case err := <-ended:
		t.Errorf("Watch = %v, want that it goes on", err)
	default:
	}
}

// TestKubernetesThatForgot: the list is asked for anew, and that is no error.
func TestKubernetesThatForgot(t *testing.T) {
	for name, lines := range map[string][]string{
		"said in the watch": {changeText("ERROR", `{"kind":"Status","status":"Failure","reason":"Expired","message":"too old resource version: 10 (99)","code":410}`)},
		"instead of it":     nil,
	} {
		t.Run(name, func(t *testing.T) {
			a := newFakeAPI(t, listText("10", sliceText("a", "7", "10.0.0.1")))
			var s Source = withToken("t1").sourceOf(inShop(a))
			if lines == nil {
				api := a.Config.Handler
				a.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Query().Has("watch") {
						w.WriteHeader(http.StatusGone)
						return
					}
					api.ServeHTTP(w, r)
				})
			}
			for range 2 {
				a.events <- lines
				came := 0
				if err := s.Watch(t.Context(), func(list []Server) { came += len(list) }); err != nil || came != 1 {
					t.Errorf("Watch = %v after %d servers, want one, and that it is asked again", err, came)
				}
			}
		})
	}
}

// TestKubernetesThatMisbehaves is not believed, or followed elsewhere, and its words are told.
func TestKubernetesThatMisbehaves(t *testing.T) {
	const one = `{"addresses":["10.0.0.1"]}`
	long := strings.Repeat("x", maxEndpointsText+1)
	for name, c := range map[string]struct {
		list   string
		events []string
		want   string
	}{
		"no JSON":             {"<html>", nil, "decode the answer of Kubernetes"},
		"no version":          {`{"items":[]}`, nil, "service shop/search has a resourceVersion of 0 bytes"},
		"long version":        {listText(long), nil, "has a resourceVersion of 254 bytes"},
		"long name":           {listText("1", sliceText(long, "1", "10.0.0.1")), nil, "has more in it than Kubernetes allows"},
		"long address":        {listText("1", sliceText("a", "1", long)), nil, "has more in it than Kubernetes allows"},
		"many ports":          {listText("1", `{"ports":[`+strings.Repeat("{},", maxSlicePorts)+`{}]}`), nil, "has more in it than Kubernetes allows"},
		"many endpoints":      {listText("1", `{"endpoints":[`+strings.Repeat(one+",", maxEndpoints)+one+`]}`), nil, "has more than 1000 EndpointSlices, or 10000 endpoints"},
		"many slices":         {listText("1", manySlices(maxSlices+1)...), nil, "has more than 1000 EndpointSlices"},
		"change of no kind":   {listText("1"), []string{changeText("CHANGED", "{}")}, `it tells of a change of kind "CHANGED"`},
		"change that is odd":  {listText("1"), []string{changeText("ADDED", "7")}, "decode a change of Kubernetes"},
		"change without end":  {listText("1"), []string{`{"type":"ADDED","object":{"metadata":{"name":"` + strings.Repeat("x", 2*maxDirectory)}, "is longer than 8388608 bytes"},
		"change that is cut":  {listText("1"), []string{`{"type":"ADDED",`}, "follow Kubernetes: unexpected EOF"},
		"change not versions": {listText("1"), []string{changeText("ADDED", "{}")}, "has a resourceVersion of 0 bytes"},
		"error":               {listText("1"), []string{changeText("ERROR", `{"message":"etcd is gone","code":500}`)}, "ask Kubernetes: it answered 500 etcd is gone"},
		"odd error":           {listText("1"), []string{changeText("ERROR", `[]`)}, "decode what Kubernetes says of an error"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newFakeAPI(t, c.list)
			a.events <- c.events
			if err := withToken("t1").sourceOf(inShop(a)).Watch(t.Context(), func([]Server) {}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Watch = %v, want %q", err, c.want)
			}
		})
	}
	t.Run("another way", func(t *testing.T) {
		a, other := newFakeAPI(t, listText("1")), newFakeAPI(t, listText("1"))
		a.Config.Handler = http.RedirectHandler(other.URL, http.StatusTemporaryRedirect)
		other.Config.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") })
		if err := withToken("t1").sourceOf(inShop(a)).Watch(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "it answered 307") {
			t.Errorf("Watch = %v, want that it is told", err)
		}
	})
}

func manySlices(n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf(`{"metadata":{"name":"s%d"}}`, i))
	}
	return all
}

// TestWhoAsksKubernetes: with the token of a secret, or the node's own for the node's own cluster, as it is at that time.
func TestWhoAsksKubernetes(t *testing.T) {
	a := newFakeAPI(t, listText("1", sliceText("a", "1", "10.0.0.1")))
	first := func(u *Upstreams, rule *function.Upstream) error {
		done := errors.New("a list came")
		var err error
		a.events <- []string{changeText("ERROR", `{"message":"the end","code":500}`)}
		came := false
		err = u.sourceOf(rule).Watch(t.Context(), func([]Server) { came = true })
		for len(a.events) > 0 {
			<-a.events
		}
		if came {
			return done
		}
		return err
	}
	account := t.TempDir()
	own := &Upstreams{o: Options{Cluster: Cluster{URL: a.URL, Account: account}, Secret: withToken("t2").o.Secret}}
	mine := &function.Upstream{Kubernetes: &function.UpstreamKubernetes{Service: "search", Namespace: "shop"}}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(account, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	stranger := inShop(a)
	stranger.Kubernetes.CA = ""
	nobody := inShop(a)
	nobody.Kubernetes.Token = ""
	missing := inShop(a)
	missing.Kubernetes.Token = "other"
	for _, c := range []struct {
		name string
		with *Upstreams
		rule *function.Upstream
		do   func()
		want string
	}{
		{"a secret", withToken("t1"), inShop(a), nil, "a list came"},
		{"an old secret", withToken("t0"), inShop(a), nil, "ask Kubernetes: it answered 401 Unauthorized"},
		{"no secret", withToken("t1"), missing, nil, "open the token for Kubernetes: no such secret"},
		{"no token", withToken("t1"), nobody, nil, "it answered 401"},
		{"an unknown authority", withToken("t1"), stranger, nil, "unknown authority"},
		{"no cluster", withToken("t1"), mine, nil, "this node belongs to no Kubernetes"},
		{"no account", own, mine, nil, "read the authorities of Kubernetes"},
		{"no authorities", own, mine, func() { write("ca.crt", "x") }, "has no certificate in PEM"},
		{"no file with a token", own, mine, func() { write("ca.crt", a.ca) }, "read the node's token for Kubernetes"},
		{"the node's account", own, mine, func() { write("token", "t1\n") }, "a list came"},
		{"a token that was changed", own, mine, func() { write("token", "t3"); a.token = "t3" }, "a list came"},
		{"another's cluster", own, nobody, nil, "it answered 401"}, // which does not get the node's token
	} {
		if c.do != nil {
			c.do()
		}
		if err := first(c.with, c.rule); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// TestATokenThatChangesWhileItIsFollowed is the one that the next watch shows.
func TestATokenThatChangesWhileItIsFollowed(t *testing.T) {
	a := newFakeAPI(t, listText("1", sliceText("a", "1", "10.0.0.1")))
	text := "t1"
	u := &Upstreams{o: Options{Secret: func(string) ([]byte, int64, error) {
		a.mu.Lock()
		defer a.mu.Unlock()
		return []byte(text), 1, nil
	}}}
	lists, _ := followed(t, u.sourceOf(inShop(a)))
	await(t, lists, "http://10.0.0.1:80 0")
	<-a.began
	a.mu.Lock()
	text, a.token = "t2", "t2"
	a.mu.Unlock()
	a.events <- []string{changeText("DELETED", sliceText("a", "2"))}
	await(t, lists, "")
	a.events <- []string{changeText("ADDED", sliceText("b", "3", "10.0.0.2"))}
	await(t, lists, "http://10.0.0.2:80 0")
}

func FuzzChangesOfKubernetes(f *testing.F) {
	f.Add([]byte(changeText("ADDED", sliceText("a", "1", "10.0.0.1", "!10.0.0.2"))), "http")
	f.Add([]byte(changeText("DELETED", sliceText("a", "2"))), "")
	f.Add([]byte(changeText("BOOKMARK", `{"metadata":{"resourceVersion":"3"}}`)), "80")
	f.Add([]byte(changeText("ERROR", `{"code":410}`)), "80")
	f.Fuzz(func(t *testing.T, text []byte, port string) {
		var c change
		if json.Unmarshal(text, &c) != nil {
			return
		}
		found := newEndpoints(&function.UpstreamKubernetes{Service: "search", Port: port}, "http")
		if known, err := c.apply(found); err != nil || !known {
			return
		}
		list, err := found.servers()
		if err != nil {
			return
		}
		for _, s := range list {
			if s.Named != byAnybody {
				t.Errorf("%q gives %+v, which is trusted", text, s)
			}
		}
	})
}
