package incident

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/bundle"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

func TestOnlyWhatMakesFunctionsRunIsSent(t *testing.T) {
	call := func(q function.InvokeRequest) []byte {
		data, err := json.Marshal(q)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	for _, c := range []struct {
		topic, typ string
		data       []byte
		sent       bool
	}{
		{"events", "order.placed", nil, true},
		{"events", "dalamb.function.removed.v1", nil, false},
		{function.TopicControl, event.TypeFunctionDeployed, nil, false},
		{function.TopicControl, "order.placed", nil, false},
		{function.TopicProgress, "x", nil, false},
		{function.TopicDead, "x", nil, false},
		{"_of.somebody", "x", nil, false},
		{function.TopicTicks, event.TypeScheduleTicked, nil, true},
		{function.TopicTicks, "x", nil, false},
		{function.TopicInvoke, event.TypeInvokeRequested, call(function.InvokeRequest{Function: "f"}), true},
		{function.TopicInvoke, event.TypeInvokeRequested, call(function.InvokeRequest{Function: "f", Version: 3}), false},
		{function.TopicInvoke, event.TypeInvokeRequested, call(function.InvokeRequest{Function: "f", RedriveOf: "d"}), false},
		{function.TopicInvoke, event.TypeInvokeRequested, []byte("{"), false},
		{function.TopicRequests, "x", nil, false},
	} {
		why := unsendable(&source{eventlog.Record{Topic: c.topic}, &event.Event{ID: "1", Type: c.typ, Data: c.data}})
		if (why == "") != c.sent {
			t.Errorf("%s in %s: %q, want sent = %v", c.typ, c.topic, why, c.sent)
		}
	}
}

func TestAnEventWhoseDataWasForgottenIsNotSent(t *testing.T) {
	gone := &event.Event{ID: "1", Type: "order.placed", Extensions: map[string]any{event.ExtSealed: event.SealedForgotten}}
	if why := unsendable(&source{eventlog.Record{Topic: "events"}, gone}); !strings.Contains(why, "forgotten") {
		t.Errorf("it is not sent because %q, want that it was forgotten", why)
	}
}

func TestARecordGoesToItsPartitionWhereThereIsOne(t *testing.T) {
	wide := map[string]int32{"orders": 3}
	for _, c := range []struct {
		topic    string
		at, want int32
	}{{"orders", 2, 2}, {"orders", 3, eventlog.AnyPartition}, {"orders", -7, eventlog.AnyPartition}, {"others", 0, eventlog.AnyPartition}} {
		got := placed(eventlog.Record{Topic: c.topic, Partition: c.at, Offset: 9, Value: []byte("v")}, wide)
		if got.Partition != c.want || got.Offset != 0 || string(got.Value) != "v" {
			t.Errorf("%s/%d goes to %+v, want partition %d", c.topic, c.at, got, c.want)
		}
	}
}

func TestARequestIsMadeAgain(t *testing.T) {
	version := function.Version{Number: 1, Spec: function.Spec{Name: "shop", Triggers: []function.Trigger{{Name: "web", Route: &function.Route{Host: "shop.example", Path: "/orders"}}}}}
	r := &run{Options: Options{Gateway: "http://127.0.0.1:1", Bundle: opened(version)}, out: &Outcome{}}
	q := function.Request{Function: "shop", Route: "web", Method: http.MethodPost, Path: "/orders?x=1", Body: []byte("{}"), Header: map[string][]string{
		"Authorization": {"[redacted]"}, "Content-Type": {"application/json"}, "Connection": {"close"}, "Idempotency-Key": {"1"},
	}}
	req, err := r.httpRequest(context.Background(), &q)
	if err != nil {
		t.Fatal(err)
	}
	if req.URL.String() != "http://127.0.0.1:1/orders?x=1" || req.Host != "shop.example" || len(req.Header) != 1 || req.Header.Get("Content-Type") != "application/json" {
		t.Errorf("request to %s at %s with %v", req.URL, req.Host, req.Header)
	}
	if len(r.out.Notes) != 1 {
		t.Errorf("notes = %q, want one of the header that is not kept", r.out.Notes)
	}
	for _, path := range []string{"", "http://elsewhere.example/", "@elsewhere.example/"} {
		q.Path = path
		if req, err := r.httpRequest(context.Background(), &q); err == nil {
			t.Errorf("path %q is a request to %s", path, req.URL.Host)
		}
	}
}

// opened is a bundle with a function.
func opened(v function.Version) *bundle.Opened {
	return &bundle.Opened{Bundle: bundle.Bundle{Functions: []bundle.Function{{Name: v.Spec.Name, Version: v.Number, Versions: []function.Version{v}}}}}
}
