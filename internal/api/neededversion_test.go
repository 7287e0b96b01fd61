package api

import (
	"encoding/json"
	"testing"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// called stores an asynchronous call, which waits as long as no trigger has finished anything.
func (n *node) called(fn string, version int) {
	n.Helper()
	n.emit(function.TopicInvoke, n.call(fn, version))
}

func (n *node) call(fn string, version int) *event.Event {
	n.Helper()
	data, err := json.Marshal(function.InvokeRequest{Version: version})
	ok(n.T, err)
	return &event.Event{ID: event.NewID(), Source: "/t", Type: event.TypeInvokeRequested, Subject: fn, DataContentType: "application/json", Data: data}
}

func TestAVersionThatAsynchronousCallsWaitForStays(t *testing.T) {
	n := newNode(t)
	req := n.request("pay")
	req.Spec.Keep = 2
	deploy := func(content string) int {
		t.Helper()
		req.Code = n.upload(content)
		done, err := n.client.Deploy(t.Context(), req)
		ok(t, err)
		return done.Version
	}
	has := func(version int) bool {
		_, err := n.catalog.View().VersionNumber("pay", version)
		return err == nil
	}
	deploy("a")
	deploy("b")
	n.script.unfinished = true
	n.called("pay", 1)
	n.called("other", 2)
	n.called("pay", 0)
	if err := n.api.RemoveVersion(t.Context(), "pay", 1); fault.KindOf(err) != fault.Conflict || !has(1) {
		t.Errorf("RemoveVersion of one that a call waits for: %v", err)
	}
	deploy("c")
	deploy("d") // 1, 2 and 3 are older than what is kept, and 3 is what live goes back to
	if !has(1) || has(2) {
		t.Errorf("after the deploys: 1 %v, 2 %v; want the one that a call waits for", has(1), has(2))
	}
	n.script.unfinished, n.script.parked = false, []*event.Event{n.call("pay", 1)}
	if err := n.api.RemoveVersion(t.Context(), "pay", 1); fault.KindOf(err) != fault.Conflict || !has(1) {
		t.Errorf("RemoveVersion of one that a call waits for whose topic has it no more: %v", err)
	}
	n.script.parked = nil
	ok(t, n.api.RemoveVersion(t.Context(), "pay", 1))
	if has(1) {
		t.Error("the version is there though no call waits for it")
	}
}
