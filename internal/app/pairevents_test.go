package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"testing"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

func (s *serving) caches(t *testing.T) {
	get := func(n *node, path string) string {
		status, _, body := n.ask("GET", path, "")
		if status != http.StatusOK {
			t.Fatalf("GET %s = %d %s", path, status, body)
		}
		return body
	}
	kept := [2]string{}
	for i, n := range s.nodes {
		kept[i] = get(n, "/stock/tea")
		if again := get(n, "/stock/tea"); again != kept[i] {
			t.Errorf("node %d gives %q and %q: it keeps no answer", i, kept[i], again)
		}
	}
	gone := func(what string) {
		t.Helper()
		for i, n := range s.nodes {
			until(t, "node "+strconv.Itoa(i)+" to have no answer from before "+what, func() bool { return get(n, "/stock/tea") != kept[i] })
			kept[i] = get(n, "/stock/tea")
		}
	}
	if err := s.nodes[0].emit("stock.changed", "tea", "tea", "{}"); err != nil {
		t.Fatal(err)
	}
	gone("the event")
	if _, err := s.nodes[0].client.PurgeCache(t.Context(), "stock", wire.CachePurge{}); err != nil {
		t.Fatal(err)
	}
	gone("the command")
}

// awaitedEvents: who asks at one node is answered by what a function has said at the other one.
func (s *serving) awaitedEvents(t *testing.T) {
	by := map[int]int{}
	for i := range 64 {
		status, h, body := s.nodes[0].ask("POST", fmt.Sprintf("/orders/o-%d", i), "")
		var e struct{ By int }
		if err := json.Unmarshal([]byte(body), &e); err != nil || status != http.StatusOK || h.Get("Ce-Type") != "order.confirmed" {
			t.Fatalf("order %d: %d %v %s, want that it is confirmed", i, status, h, body)
		}
		if by[e.By]++; i >= 8 && len(by) > 1 {
			break
		}
	}
	for _, n := range s.nodes {
		if by[n.cmd.Process.Pid] == 0 {
			t.Errorf("%v have confirmed, node %d among them never", by, n.cmd.Process.Pid)
		}
	}
}

func (s *serving) services(t *testing.T) {
	one, two := s.nodes[0], s.nodes[1]
	register := func(n *node, instance string) {
		t.Helper()
		r := function.Registration{Service: "search", Instance: instance, Address: "127.0.0.1:9000"}
		if _, err := n.client.RegisterInstance(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	// watch reads from a position on until there are so many instances, and returns the position then and how much was told.
	watch := func(n *node, since string, instances int) (at string, told int) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		for w, err := range n.client.Watch(ctx, "service", since) {
			if err != nil {
				t.Fatalf("watch since %q: %v", since, err)
			}
			if w.Reset {
				t.Errorf("watch since %q begins anew", since)
			}
			if told++; w.Position != "" {
				at = w.Position
			}
			if w.Service != nil && w.Name == "search" && len(w.Service.Instances) == instances && at != "" {
				return at, told
			}
		}
		t.Fatalf("watch since %q ended", since)
		return "", 0
	}
	register(one, "s-1")
	at, _ := watch(two, "", 1)
	register(two, "s-2")
	watch(one, at, 2)
	at, _ = watch(two, at, 2)
	register(one, "s-3")
	if _, told := watch(one, at, 3); told != 1 {
		t.Errorf("who comes back to the other node is told %d things, want the one that is new", told)
	}
	for i, n := range s.nodes {
		until(t, fmt.Sprintf("node %d to know all instances", i), func() bool {
			found, err := n.client.Service(t.Context(), "search", true)
			return err == nil && len(found.Instances) == 3
		})
	}
}
