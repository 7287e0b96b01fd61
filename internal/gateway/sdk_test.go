package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"testing"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/cloudevents/sdk-go/v2/binding"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func sdkEvent(t *testing.T, id string) cloudevents.Event {
	t.Helper()
	e := cloudevents.NewEvent()
	e.SetID(id)
	e.SetSource("/shop")
	e.SetType("order.requested")
	e.SetSubject("42")
	e.SetExtension("partitionkey", "k ä")
	if err := e.SetData(cloudevents.ApplicationJSON, map[string]int{"total": 5}); err != nil {
		t.Fatal(err)
	}
	return e
}

// TestSDKClientSends: the official client, in each of its modes, is a sender like any other.
func TestSDKClientSends(t *testing.T) {
	n := start(t, says(""))
	client, err := cloudevents.NewClientHTTP(cloudevents.WithTarget(n.url+"/_/events?topic=orders"), cehttp.WithHeader("Authorization", "Bearer "+testToken))
	if err != nil {
		t.Fatal(err)
	}
	for name, ctx := range map[string]context.Context{
		"binary":     binding.WithForceBinary(t.Context()),
		"structured": binding.WithForceStructured(t.Context()),
	} {
		if result := client.Send(ctx, sdkEvent(t, name)); !cloudevents.IsACK(result) {
			t.Errorf("send in %s mode = %v, want an acknowledgement", name, result)
		}
	}
	req, err := cehttp.NewHTTPRequestFromEvents(t.Context(), n.url+"/_/events?topic=orders", []cloudevents.Event{sdkEvent(t, "batch-0"), sdkEvent(t, "batch-1")})
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+testToken)
	if g := n.do(req); g.status != http.StatusAccepted {
		t.Errorf("batch = %d %s, want 202", g.status, g.body)
	}
	got := map[string]bool{}
	for _, e := range n.events("orders") {
		got[e.ID] = true
		if e.Source != "/shop" || e.Type != "order.requested" || e.Subject != "42" || e.Extension("partitionkey") != "k ä" || string(e.Data) != `{"total":5}` {
			t.Errorf("event %s = %+v, want what was sent", e.ID, e)
		}
	}
	if want := map[string]bool{"binary": true, "structured": true, "batch-0": true, "batch-1": true}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("stored %v, want %v", got, want)
	}
}

func TestSDKClientIsToldNo(t *testing.T) {
	n := start(t, says(""))
	client, err := cloudevents.NewClientHTTP(cloudevents.WithTarget(n.url + "/_/events"))
	if err != nil {
		t.Fatal(err)
	}
	result := client.Send(t.Context(), sdkEvent(t, "1"))
	var status *cehttp.Result
	if cloudevents.IsACK(result) || !cloudevents.ResultAs(result, &status) || status.StatusCode != http.StatusUnauthorized {
		t.Errorf("send without a token = %v, want 401", result)
	}
}
