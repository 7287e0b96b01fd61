package gateway

import (
	"context"
	"testing"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

func TestARouteSaysWhatStaysOfItsCalls(t *testing.T) {
	emits := script(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		e := &event.Event{Type: "order.created"}
		return &function.Result{Outcome: function.Succeeded, Body: []byte("answer"), Events: []*event.Event{e}, Version: 1}, nil
	})
	n := start(t, emits)
	full, meta, none, silent := route("full", "", "/full"), route("meta", "", "/meta"), route("none", "", "/none"), route("silent", "", "/silent")
	meta.Route.Record, none.Route.Record, silent.Route.Record = function.RecordMeta, function.RecordNone, function.RecordNone
	none.Emit = &function.Emit{Topic: "orders"}
	n.deploy("shop", full, meta, none, silent)
	for _, path := range []string{"/none", "/silent", "/meta", "/full"} {
		if g := n.send("POST", path, "body"); g.status != 200 || g.header.Get(runHeader) == "" {
			t.Errorf("%s = %d %v", path, g.status, g.header)
		}
	}
	for _, q := range n.requests(2) {
		body, answer := "body", "answer"
		if q.Route == "meta" {
			body, answer = "", ""
		}
		if q.Route != "meta" && q.Route != "full" || string(q.Body) != body || string(q.Answer) != answer || q.BodySize != 4 || q.AnswerSize != 6 {
			t.Errorf("%s is recorded with %q and %q of %d and %d bytes", q.Route, q.Body, q.Answer, q.BodySize, q.AnswerSize)
		}
	}
	n.stop() // all that will be recorded is
	if rs := n.records(function.TopicRequests); len(rs) != 2 {
		t.Errorf("%d calls are recorded, want 2", len(rs))
	}
	if es := n.events("orders"); len(es) != 1 || es[0].Type != "order.created" {
		t.Errorf("emitted are %v, want one event", es)
	}
}
