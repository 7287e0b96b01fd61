package api

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

func TestAPurgeIsToldToEveryNode(t *testing.T) {
	n := newNode(t)
	n.deploy("name: shop\nentry: {type: http, command: [./a]}\ntriggers:\n- {name: b, route: {path: /b, cache: {}}}\n- {name: a, route: {path: /a, cache: {}}}\n- {name: c, route: {path: /c}}\n", "1")
	n.deploy("name: mail\nentry: {type: http, command: [./a]}\n", "1")
	all, err := n.client.PurgeCache(t.Context(), "shop", wire.CachePurge{})
	if err != nil || !slices.Equal(all.Routes, []string{"a", "b"}) {
		t.Errorf("purge = %+v, %v; want both routes that have a cache", all, err)
	}
	one, err := n.client.PurgeCache(t.Context(), "shop", wire.CachePurge{Route: "b", Path: "/b/1"})
	if err != nil || !slices.Equal(one.Routes, []string{"b"}) || one.Path != "/b/1" {
		t.Errorf("purge of one path of a route = %+v, %v", one, err)
	}
	for name, c := range map[string]struct {
		function string
		what     wire.CachePurge
		kind     fault.Kind
		says     string
	}{
		"no such function": {"ship", wire.CachePurge{}, fault.NotFound, "ship"},
		"no cache":         {"mail", wire.CachePurge{}, fault.Invalid, "no route of mail has a cache"},
		"a route without":  {"shop", wire.CachePurge{Route: "c"}, fault.NotFound, `"c"`},
		"no path":          {"shop", wire.CachePurge{Path: "b/1"}, fault.Invalid, "does not begin with a slash"},
	} {
		if _, err := n.client.PurgeCache(t.Context(), c.function, c.what); fault.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error = %v, want %v with %s", name, err, c.kind, c.says)
		}
	}
	records, err := n.log.Read(t.Context(), eventlog.Partition{Topic: function.TopicCache}, 0, eventlog.ReadOptions{})
	if err != nil || len(records) != 2 {
		t.Fatalf("the log tells of %d purges, %v; want 2", len(records), err)
	}
	var said function.CachePurged
	if e := eventlog.EventOf(&records[1]); e.Type != event.TypeCachePurged || json.Unmarshal(e.Data, &said) != nil || said != (function.CachePurged{Function: "shop", Trigger: "b", Path: "/b/1"}) {
		t.Errorf("the second purge is told as %+v of %s", said, e.Type)
	}
}
