package api

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/bundle"
	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// exported is a bundle, read, and its bytes.
func (n *node) exported(id string, causes bool) (*bundle.Opened, []byte) {
	n.Helper()
	var text bytes.Buffer
	ok(n, n.client.Export(n.Context(), client.Export{ID: id, Causes: causes}, &text))
	file := filepath.Join(n.TempDir(), "b.tar")
	ok(n, os.WriteFile(file, text.Bytes(), 0o600))
	b, err := bundle.Open(file)
	ok(n, err)
	n.Cleanup(func() { b.Close() })
	return b, text.Bytes()
}

func TestATraceIsExported(t *testing.T) {
	n := newNode(t)
	_, err := n.client.SetSecret(t.Context(), "password", []byte("do not tell anybody"))
	ok(t, err)
	_, err = n.client.SetConfig(t.Context(), "greeting", "hello")
	ok(t, err)
	takes := strings.Replace(payManifest, "code: .", "code: .\nsecrets: [{name: password, env: PASSWORD}]\nconfig: [{name: greeting, env: GREETING}]", 1)
	n.deploy(takes, "one")
	first := keyed("e-1", "order.validated", "k")
	at := n.emit("events", first)
	second := keyed("e-2", "order.paid", "k")
	second.Extensions = map[string]any{"causationid": "e-1"}
	n.emit("events", second)
	n.ran(at[0], first, function.Run{
		ID: "run-1", State: function.RunSucceeded, Finished: time.Now().UTC(), Emitted: []function.Emitted{{Topic: "events", ID: "e-2", Type: "order.paid", Key: "k"}, {Topic: "events", ID: "gone", Type: "order.lost"}},
		Attempts: []function.Attempt{{Number: 1, Version: 1, ID: "attempt-1", Outcome: function.Succeeded, Start: time.Now().UTC()}},
	})
	for _, of := range []string{"run-1", "run-of-another-event"} {
		n.tell(function.TopicLogs, "dalamb.log.written.v1", "pay", function.LogLine{Time: time.Now().UTC(), Function: "pay", Version: 1, Run: of, Text: of})
	}
	n.deploy(takes, "two") // what came later is no part of it

	b, text := n.exported("e-2", true)
	if len(b.Events) != 2 || len(b.Runs) != 1 || !slices.Equal(b.Manifest.Sources, []string{"e-1"}) {
		t.Errorf("%d events, %d runs, sources %v; want 2, 1 and e-1", len(b.Events), len(b.Runs), b.Manifest.Sources)
	}
	if len(b.Functions) != 1 || b.Functions[0].Version != 1 || len(b.Functions[0].Versions) != 1 || !slices.Equal(b.Code, []string{b.Functions[0].Chosen().Code}) {
		t.Errorf("functions = %+v, code %v; want version 1 of pay alone", b.Functions, b.Code)
	}
	if !slices.Equal(b.Manifest.Secrets, []string{"password"}) || !slices.Equal(b.Config, []bundle.Value{{Name: "greeting", Text: "hello"}}) {
		t.Errorf("secrets %v, values %v", b.Manifest.Secrets, b.Config)
	}
	if len(b.Logs) != 1 || b.Logs[0].Text != "run-1" {
		t.Errorf("log lines = %+v, want that of the run", b.Logs)
	}
	if len(b.Rules.Functions) != 1 || !slices.Equal(b.Rules.Functions[0].Versions, []int{1}) {
		t.Errorf("rules = %+v, want those of the time before version 2", b.Rules.Functions)
	}
	if !slices.ContainsFunc(b.Manifest.Missing, func(s string) bool { return strings.Contains(s, "event gone") }) {
		t.Errorf("missing = %q, want the event that is gone", b.Manifest.Missing)
	}
	if bytes.Contains(text, []byte("do not tell anybody")) {
		t.Error("the value of a secret is in it")
	}
	if _, again := n.exported("e-2", true); !bytes.Equal(text, again) {
		t.Error("the second time it is other bytes")
	}
	if b, _ := n.exported("e-2", false); len(b.Events) != 1 || len(b.Runs) != 0 || !slices.Equal(b.Manifest.Sources, []string{"e-2"}) {
		t.Errorf("from the event on: %d events, %d runs, sources %v", len(b.Events), len(b.Runs), b.Manifest.Sources)
	}
	if err := n.client.Export(t.Context(), client.Export{ID: "nobody", Causes: true}, &bytes.Buffer{}); fault.KindOf(err) != fault.NotFound {
		t.Errorf("an id that nothing has: %v, want not found", err)
	}
}

func TestAReplayOfSingleEvents(t *testing.T) {
	n := newNode(t)
	n.deploy(payManifest, "one")
	at := n.emit("events", keyed("1", "order.validated", "a"), keyed("2", "order.validated", "a"), keyed("3", "order.validated", "a"), keyed("4", "other", "a"))
	place := func(i int) string { return fmt.Sprintf("%d@%d", at[i].Partition, at[i].Offset) }
	ask := func(events ...string) (wire.Replay, error) {
		return n.client.StartReplay(t.Context(), wire.ReplayRequest{Function: "pay", Trigger: "on-order", Events: events, DryRun: true})
	}
	r, err := ask(place(0), place(2), place(2), place(3))
	ok(t, err)
	if r.Events != 2 || len(r.Sample) != 2 {
		t.Errorf("it is about %d events, want the two that the filter matches", r.Events)
	}
	for _, bad := range []string{"", "1", "events/1@2", "-1@3", "1@99999999999999999999"} {
		if _, err := ask(bad); fault.KindOf(err) != fault.Invalid {
			t.Errorf("event %q: %v, want invalid", bad, err)
		}
	}
}
