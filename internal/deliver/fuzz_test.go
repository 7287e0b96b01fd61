package deliver

import (
	"testing"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
)

// Whatever a check answers, it has said yes only by {"ok": true}, and its reason is of bounded length.
func FuzzVerdict(f *testing.F) {
	for _, seed := range []string{`{"ok": true}`, `{"ok": false, "reason": "no"}`, `{"ok": null}`, `{}`, `[]`, `"fine"`, ``, `{"ok": "true"}`, "{\"ok\":false,\"reason\":\"\x00\"}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if b := verdict("smoke", body); b != nil && (b.reason == "" || len(b.reason) > 11*shownAnswer) {
			t.Errorf("verdict(%q) has a reason of %d bytes", body, len(b.reason))
		}
	})
}

// What stands in the log, written by a newer dalamb or damaged, is counted or left out.
func FuzzReader(f *testing.F) {
	f.Add(event.TypeRequestCompleted, []byte(`{"version": 2, "status": 200, "outcome": "succeeded", "duration": "1s"}`))
	f.Add(event.TypeRunFinished, []byte(`{"function": "pay", "attempts": [{"id": "a", "version": 1, "outcome": "failed"}]}`))
	f.Add(event.TypeBatchFinished, []byte(`{"run": {"function": "pay", "attempts": []}}`))
	f.Add(event.TypeAttemptFailed, []byte(`null`))
	f.Add(event.TypeShadowFinished, []byte(`{"rollout": 1, "kind": "different", "changes": [{"path": "result"}], "live": {"version": 1, "duration": "1s"}, "shadow": {"version": 2, "failed": true}}`))
	f.Add(event.TypeShadowDropped, []byte(`{"rollout": 1, "dropped": -3}`))
	f.Fuzz(func(t *testing.T, typ string, data []byte) {
		r := &reader{function: "pay", told: map[string]bool{}}
		i, ok := r.read(&eventlog.Record{Value: data, Headers: []eventlog.Header{{Name: "ce_type", Value: []byte(typ)}, {Name: "ce_subject", Value: []byte("pay")}}})
		if ok && i.copies != nil {
			var m mirrored
			m.add(i.copies)
			if f := m.figures(); f.Shadow.Dropped < 0 || f.Shadow.Compared < f.Shadow.Differing() || f.New.Errors > f.New.Invocations {
				t.Errorf("%s %s is counted as %+v", typ, data, f)
			}
			return
		}
		if ok && (i.version == 0 || i.took < 0 || i.failed && i.took > 0) {
			t.Errorf("%s %s is counted as %+v", typ, data, i)
		}
	})
}
