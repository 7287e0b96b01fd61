package replay

import (
	"context"
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/history"
)

// newComparer has a log and a history of these original runs.
func newComparer(t *testing.T, runs ...function.Run) comparer {
	t.Helper()
	l, err := disk.Open(disk.Options{Dir: "log", FS: vfs.NewMem(), FreeSpace: func() (uint64, uint64, error) { return 1 << 40, 1 << 41, nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	for _, topic := range []eventlog.Topic{{Name: function.TopicRuns, Partitions: 2}, {Name: function.TopicDead, Partitions: 1, Compact: true}, {Name: "events", Partitions: 3}} {
		if err := l.CreateTopic(t.Context(), topic); err != nil {
			t.Fatal(err)
		}
	}
	for _, run := range runs {
		data, err := json.Marshal(run)
		if err != nil {
			t.Fatal(err)
		}
		e := &event.Event{ID: event.NewID(), Source: "/t", Type: event.TypeRunFinished, Subject: run.ID, DataContentType: "application/json", Data: data}
		if _, err := l.Append(t.Context(), []eventlog.Record{eventlog.FromEvent(function.TopicRuns, e)}); err != nil {
			t.Fatal(err)
		}
	}
	h, err := history.Open(history.Options{Log: l, Dir: filepath.Join(t.TempDir(), "history")})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("history: %v", err)
		}
		h.Close()
	})
	if err := h.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	return comparer{l, h}
}

func run(id string, state function.RunState, change func(r *function.Run)) function.Run {
	r := function.Run{
		ID: id, Function: "f", Trigger: "t", State: state, Finished: time.Now(), Event: function.EventRef{Topic: "events", Offset: 7, ID: "e"},
		Attempts: []function.Attempt{{Number: 1, Duration: function.Duration(time.Millisecond)}},
	}
	if state != function.RunSucceeded {
		r.Attempts[0].Failure = &function.Failure{Type: "E", Message: "m"}
	}
	if change != nil {
		change(&r)
	}
	return r
}

func answered(text string) func(*function.Run) {
	return func(r *function.Run) { r.Result = json.RawMessage(text) }
}

func emitted(digest string) func(*function.Run) {
	return func(r *function.Run) { r.Emitted = []function.Emitted{{Topic: "events", ID: "x", Digest: digest}} }
}

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		name      string
		originals []function.Run
		replayed  function.Run
		known     bool
		kind      string
	}{
		{"no original", nil, run("n", function.RunSucceeded, nil), false, ""},
		{"not over", []function.Run{run("o", function.RunRetrying, nil)}, run("n", function.RunSucceeded, nil), false, ""},
		{"discarded", []function.Run{run("o", function.RunDiscarded, nil)}, run("n", function.RunSucceeded, nil), false, ""},
		{"of another event", []function.Run{run("o", function.RunSucceeded, func(r *function.Run) { r.Event.Offset = 8 })}, run("n", function.RunSucceeded, nil), false, ""},
		{"same result", []function.Run{run("o", function.RunSucceeded, answered(`{"a":1,"b":2}`))}, run("n", function.RunSucceeded, answered(`{"b":2,"a":1}`)), true, ""},
		{"another result", []function.Run{run("o", function.RunSucceeded, answered(`1`))}, run("n", function.RunSucceeded, answered(`2`)), true, function.ReplayDifferent},
		{"same events", []function.Run{run("o", function.RunSucceeded, emitted("d"))}, run("n", function.RunSucceeded, emitted("d")), true, ""},
		{"other events", []function.Run{run("o", function.RunSucceeded, emitted("d"))}, run("n", function.RunSucceeded, emitted("e")), true, function.ReplayDifferent},
		{"events where there were none", []function.Run{run("o", function.RunSucceeded, answered(`1`))}, run("n", function.RunSucceeded, emitted("e")), true, function.ReplayDifferent},
		{"fails now", []function.Run{run("o", function.RunSucceeded, nil)}, run("n", function.RunDead, nil), true, function.ReplayNewlyFailing},
		{"passes now", []function.Run{run("o", function.RunDead, nil)}, run("n", function.RunSucceeded, nil), true, function.ReplayNewlyPassing},
		{"fails as before", []function.Run{run("o", function.RunDead, nil)}, run("n", function.RunDead, nil), true, ""},
		{"fails otherwise", []function.Run{run("o", function.RunDead, nil)}, run("n", function.RunDead, func(r *function.Run) { r.Attempts[0].Failure.Message = "x" }), true, function.ReplayDifferent},
		{"a redrive is not the original", []function.Run{run("o", function.RunDead, nil), run("p", function.RunSucceeded, func(r *function.Run) { r.RedriveOf = "o" })}, run("n", function.RunSucceeded, nil), true, function.ReplayNewlyPassing},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmp := newComparer(t, c.originals...)
			r := &function.ReplayedRun{Run: c.replayed}
			v, err := cmp.judge(t.Context(), r, false)
			if err != nil || (v.original != nil) != c.known || v.kind != c.kind {
				t.Fatalf("judge = %+v, %v, want known %t, kind %q", v, err, c.known, c.kind)
			}
			tally := newTally()
			if v.kind != "" {
				d, err := cmp.difference(t.Context(), v, r)
				if err != nil || len(d.Changes) == 0 && d.Note == "" {
					t.Errorf("difference = %+v, %v", d, err)
				}
				tally.add(r, v, &d)
			} else {
				tally.add(r, v, nil)
			}
			s := tally.show()
			if s.Runs != 1 || s.Same+s.Different+s.NewlyFailing+s.NewlyPassing+s.NoOriginal != 1 {
				t.Errorf("report = %+v", s)
			}
		})
	}
}

// TestEventsOfOldRunsAreFoundInTheLog compares with a run that an older dalamb wrote down, without digests.
func TestEventsOfOldRunsAreFoundInTheLog(t *testing.T) {
	out := &event.Event{ID: "x", Source: "/f", Type: "done", Subject: "k", DataContentType: "application/json", Data: []byte(`{"n":1}`)}
	c := newComparer(t, run("o", function.RunSucceeded, emitted("")))
	if _, err := c.log.Append(t.Context(), []eventlog.Record{eventlog.FromEvent("events", out)}); err != nil {
		t.Fatal(err)
	}
	again := out.Clone()
	again.ID = "y"
	text, err := json.Marshal(again)
	if err != nil {
		t.Fatal(err)
	}
	same := &function.ReplayedRun{Run: run("n", function.RunSucceeded, emitted(again.Digest())), Captured: []json.RawMessage{text}}
	if v, err := c.judge(t.Context(), same, false); err != nil || v.original == nil || v.kind != "" {
		t.Errorf("the same event = %+v, %v", v, err)
	}
	again.Data = []byte(`{"n":2}`)
	if text, err = json.Marshal(again); err != nil {
		t.Fatal(err)
	}
	other := &function.ReplayedRun{Run: run("n", function.RunSucceeded, emitted(again.Digest())), Captured: []json.RawMessage{text}}
	if v, err := c.judge(t.Context(), other, true); err != nil || v.original == nil || v.kind != "" {
		t.Errorf("another event, of a batch = %+v, %v", v, err)
	}
	v, err := c.judge(t.Context(), other, false)
	if err != nil || v.kind != function.ReplayDifferent {
		t.Fatalf("another event = %+v, %v", v, err)
	}
	d, err := c.difference(t.Context(), v, other)
	if err != nil || len(d.Changes) != 1 || d.Changes[0].Path != "emitted[0].data.n" || string(d.Changes[0].Before) != "1" || string(d.Changes[0].After) != "2" {
		t.Errorf("difference = %+v, %v", d, err)
	}
}

// TestEventsOfSealedTopicsAreComparedWithoutDigests: none stands with a run, so that what is forgotten cannot be guessed by it.
func TestEventsOfSealedTopicsAreComparedWithoutDigests(t *testing.T) {
	out := func(id, data string) *event.Event {
		return &event.Event{ID: id, Source: "/f", Type: "done", Subject: "k", DataContentType: "application/json", Data: []byte(data)}
	}
	forgotten := &event.Event{ID: "x", Source: "/f", Type: "done", Subject: "k", Extensions: map[string]any{event.ExtSealed: event.SealedForgotten}}
	said := out("x", `{"n":1}`)
	said.Extensions = forgotten.Extensions
	emitted := func(typ string) func(*function.Run) {
		return func(r *function.Run) {
			r.Emitted = []function.Emitted{{Topic: "events", ID: r.ID[1:], Type: typ, Key: "k"}}
		}
	}
	for name, c := range map[string]struct {
		stored, again *event.Event // nil = not kept
		typ, kind     string
	}{
		"the same":                {out("x", `{"n":1}`), out("y", `{"n":1}`), "done", ""},
		"another":                 {out("x", `{"n":1}`), out("y", `{"n":2}`), "done", function.ReplayDifferent},
		"forgotten":               {forgotten, out("y", `{"n":2}`), "done", ""},
		"forgotten, another type": {forgotten, out("y", `{"n":2}`), "undone", function.ReplayDifferent},
		"said by who sent it":     {said, out("y", `{"n":2}`), "done", function.ReplayDifferent},
		"not kept":                {nil, nil, "done", ""},
		"not kept, another type":  {nil, nil, "undone", function.ReplayDifferent},
	} {
		t.Run(name, func(t *testing.T) {
			cmp := newComparer(t, run("ox", function.RunSucceeded, emitted("done")))
			if c.stored != nil {
				if _, err := cmp.log.Append(t.Context(), []eventlog.Record{eventlog.FromEvent("events", c.stored)}); err != nil {
					t.Fatal(err)
				}
			}
			r := &function.ReplayedRun{Run: run("ny", function.RunSucceeded, emitted(c.typ))}
			if c.again != nil {
				text, err := json.Marshal(c.again)
				if err != nil {
					t.Fatal(err)
				}
				r.Captured = []json.RawMessage{text}
			}
			v, err := cmp.judge(t.Context(), r, false)
			if err != nil || v.original == nil || v.kind != c.kind {
				t.Fatalf("judge = %+v, %v, want the kind %q", v, err, c.kind)
			}
			if unknown := c.kind == "" && name != "the same"; v.unknown != unknown {
				t.Errorf("not comparable: %v, want %v", v.unknown, unknown)
			}
			if c.kind == "" {
				tally := newTally()
				tally.add(r, v, nil)
				if s := tally.show(); s.Same+s.NotComparable != 1 || (s.NotComparable == 1) != v.unknown {
					t.Errorf("report = %+v", s)
				}
				return
			}
			if d, err := cmp.difference(t.Context(), v, r); err != nil || len(d.Changes) == 0 && d.Note == "" {
				t.Errorf("difference = %+v, %v", d, err)
			}
		})
	}
}
