package api

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/discovery"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

func TestServicesAreRegisteredShownAndTakenAway(t *testing.T) {
	n := newNode(t)
	i, err := n.client.RegisterInstance(t.Context(), function.Registration{Service: "search", Instance: "s-1", Address: "10.0.0.7:9000", Version: "1.4", Metadata: map[string]string{"zone": "a"}})
	ok(t, err)
	if !i.Healthy || i.TTL.String() != "30s" || i.ID == "" {
		t.Errorf("RegisterInstance = %+v", i)
	}
	_, err = n.client.RegisterInstance(t.Context(), function.Registration{Service: "search", Instance: "s-2", Address: "h:1", Check: &function.ServiceCheck{Path: "/healthz"}})
	ok(t, err)
	if list, err := n.client.Services(t.Context()); err != nil || len(list) != 1 || list[0] != (wire.ServiceSummary{Name: "search", Instances: 2, Healthy: 1}) {
		t.Errorf("Services = %+v, %v", list, err)
	}
	if s, err := n.client.Service(t.Context(), "search", true); err != nil || len(s.Instances) != 1 || s.Instances[0].Instance != "s-1" || s.Instances[0].Metadata["zone"] != "a" {
		t.Errorf("healthy instances = %+v, %v", s, err)
	}
	if a := n.do("GET", "/v1/services/search?healthy", ""); a.status != 200 || strings.Contains(a.body, "s-2") {
		t.Errorf("?healthy without a value: %d %s", a.status, a.body)
	}
	for _, c := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"PUT", "/v1/services/search/s-3", `{"address":"10.0.0.7"}`, 400, "is not HOST:PORT"},
		{"PUT", "/v1/services/search/s-3", `{"adress":"10.0.0.7:1"}`, 400, "adress"},
		{"PUT", "/v1/services/search/s-3", `{"service":"other","address":"h:1"}`, 400, `in the body and \"search\" in the path`},
		{"PUT", "/v1/services/search/..%2fx", `{"address":"h:1"}`, 400, "is no name for an instance"},
		{"PUT", "/v1/services/search/s-3", `{"address":"h:1","ttl":30}`, 400, "ttl"},
		{"GET", "/v1/services/serch", "", 404, "did you mean search"},
		{"GET", "/v1/services/search?healthy=perhaps", "", 400, "neither true nor false"},
		{"DELETE", "/v1/services/search/s-9", "", 404, "no instance of search"},
		{"DELETE", "/v1/services/none/s-1", "", 404, "no service"},
		{"DELETE", "/v1/services/search/s-2", "", 204, ""},
	} {
		if a := n.do(c.method, c.path, c.body); a.status != c.status || !strings.Contains(a.body, c.says) {
			t.Errorf("%s %s %s: %d %s, want %d %s", c.method, c.path, c.body, a.status, a.body, c.status, c.says)
		}
	}
	ok(t, n.client.DeregisterInstance(t.Context(), "search", "s-1"))
	if list, err := n.client.Services(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("Services = %+v, %v", list, err)
	}
}

// sse is one server-sent event.
type sse struct {
	id, event string
	data      wire.Watched
}

// watching reads the events of /v1/watch, and an empty one at its end.
func (n *node) watching(query, last string) (next func() sse, stop func()) {
	n.Helper()
	ctx, cancel := context.WithTimeout(n.Context(), time.Minute)
	r, err := http.NewRequestWithContext(ctx, "GET", n.url+"/v1/watch"+query, nil)
	ok(n, err)
	r.Header.Set("Authorization", "Bearer "+token)
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	res, err := http.DefaultClient.Do(r)
	ok(n, err)
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" {
		n.Fatalf("watch: %d %v", res.StatusCode, res.Header)
	}
	lines := bufio.NewScanner(res.Body)
	next = func() (e sse) {
		n.Helper()
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch {
			case name == "id":
				e.id = value
			case name == "event":
				e.event = value
			case name == "data":
				ok(n, json.Unmarshal([]byte(value), &e.data))
			case name == "" && value == "" && e.event != "":
				return e
			}
		}
		ok(n, lines.Err())
		return sse{} // the end
	}
	return next, func() {
		cancel()
		res.Body.Close()
	}
}

func TestWhoWatchesIsToldThatWhatIsGoneIsForgotten(t *testing.T) {
	n := newNode(t)
	for _, name := range []string{"gone", "stays"} {
		_, err := n.client.RegisterInstance(t.Context(), function.Registration{Service: name, Instance: "a", Address: "h:1"})
		ok(t, err)
	}
	at := position{n.catalog.View().Offset, n.services.View().Offset}
	ok(t, n.client.DeregisterInstance(t.Context(), "gone", "a"))
	// A fold that begins here does not know what went before, as one that has forgotten it.
	d, err := discovery.New(discovery.Options{Log: n.log})
	ok(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- d.Run(ctx) }()
	ok(t, d.CatchUp(t.Context()))
	got, next := newsSince(at, false, n.catalog.View(), d.View())
	if !got.reset || len(got.all) != 1 || got.all[0].Name != "stays" || got.all[0].Removed {
		t.Errorf("in the middle of watching: %+v, want a reset and what there is", got)
	}
	if got, _ := newsSince(next, false, n.catalog.View(), d.View()); got.reset || len(got.all) > 0 {
		t.Errorf("after that: %+v, want no news", got)
	}
	stop()
	ok(t, <-ended)
}

func TestWatchTellsWhatChangesAndGoesOnWhereItWas(t *testing.T) {
	n := newNode(t)
	n.deploy("name: pay\ncode: .\nentry: {type: lambda, command: [x]}\n", "x")
	register := func(version string) {
		t.Helper()
		_, err := n.client.RegisterInstance(t.Context(), function.Registration{Service: "search", Instance: "a", Address: "h:1", Version: version})
		ok(t, err)
	}
	register("1")
	next, stop := n.watching("", "")
	if e := next(); e.event != "function" || e.data.Name != "pay" || e.data.Version != 1 || e.id != "" {
		t.Errorf("first event = %+v", e)
	}
	last := next()
	if last.event != "service" || last.id == "" || last.data.Service == nil || last.data.Service.Instances[0].Version != "1" {
		t.Errorf("second event = %+v", last)
	}
	_, err := n.catalog.Submit(t.Context(), catalog.SetConfig{Name: "level", Value: "debug"})
	ok(t, err)
	if e := next(); e.event != "config" || e.data.Name != "level" || e.id == "" {
		t.Errorf("a changed value = %+v", e)
	}
	stop()
	register("2")
	n.deploy("name: pay\ncode: .\nentry: {type: lambda, command: [x, y]}\n", "x")
	ok(t, n.client.DeregisterInstance(t.Context(), "search", "a"))

	next, stop = n.watching("", last.id)
	defer stop()
	var got []string
	for range 3 {
		e := next()
		got = append(got, e.event)
		if e.event == "service" && !e.data.Removed || e.event == "function" && e.data.Version != 2 {
			t.Errorf("%+v is not as it is now", e)
		}
	}
	if strings.Join(got, " ") != "config function service" {
		t.Errorf("since then: %v", got)
	}
	only, end := n.watching("?kind=service&since="+last.id, "")
	defer end()
	if e := only(); e.event != "service" || !e.data.Removed {
		t.Errorf("of services alone: %+v", e)
	}
	strange, end2 := n.watching("", "999999.7")
	defer end2()
	if e := strange(); e.event != "reset" {
		t.Errorf("at a position of another log: %+v, want a reset", e)
	}
	if e := strange(); e.event != "config" {
		t.Errorf("after a reset: %+v, want what there is", e)
	}
	for query, says := range map[string]string{"?kind=functions": "allowed: config, function", "?since=1": "no position", "?since=1.-2": "no position", "?since=+1.2": "no position"} {
		if a := n.do("GET", "/v1/watch"+query, ""); a.status != 400 || !strings.Contains(a.body, says) {
			t.Errorf("%s: %d %s, want 400 %s", query, a.status, a.body, says)
		}
	}
	n.api.EndStreams()
	if e := only(); e != (sse{}) {
		t.Errorf("a node that stops sends %+v, want the end", e)
	}
}
