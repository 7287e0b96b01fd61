package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// dated is a log that gives control events the times that a test wants.
type dated struct {
	eventlog.Log
	at time.Time
}

func (d *dated) Append(ctx context.Context, records []eventlog.Record) ([]eventlog.Position, error) {
	for i := range records {
		records[i].Time = d.at
	}
	return d.Log.Append(ctx, records)
}

func lines(steps []Step) (all []string) {
	for _, s := range steps {
		all = append(all, s.About.Kind+" "+s.About.Name+": "+s.What)
	}
	return all
}

func TestThePastIsTheFoldUpToThatTime(t *testing.T) {
	day := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	log := &dated{Log: newLog(t), at: day}
	c, _ := start(t, log, nil)
	submit(t, c, Deploy{Version: version("pay", on("a", "events", "x"))})
	log.at = day.Add(time.Minute)
	submit(t, c, Pause{Function: "pay", Trigger: "a", Paused: true})
	submit(t, c, SetConfig{Name: "greeting", Value: "do not tell"})
	log.at = day.Add(2 * time.Minute)
	submit(t, c, Deploy{Version: version("pay", on("a", "events", "y"))})
	submit(t, c, Remove{Function: "pay"})

	for _, tt := range []struct {
		at      time.Time
		version int
		paused  bool
	}{
		{day.Add(-time.Millisecond), 0, false},
		{day, 1, false},
		{day.Add(59 * time.Second), 1, false},
		{day.Add(time.Minute), 1, true},
		{day.Add(time.Hour), 0, false},
	} {
		p, err := NewPasts(log).At(t.Context(), PastQuery{At: tt.at})
		if err != nil {
			t.Fatal(err)
		}
		version, paused := 0, false
		if f, err := p.View.Function("pay"); err == nil {
			version, paused = f.Live().Number, f.Triggers[1].Paused
		}
		if version != tt.version || paused != tt.paused {
			t.Errorf("at %s: version %d, paused %v, want %d, %v", tt.at, version, paused, tt.version, tt.paused)
		}
		if p.Steps != nil {
			t.Errorf("steps that nobody asked for: %v", p.Steps)
		}
	}

	every := func(*Step) bool { return true }
	p, err := NewPasts(log).At(t.Context(), PastQuery{At: day.Add(time.Hour), Want: every, Max: 10})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{" pay: version 1 deployed: live is at version 1", " pay: paused: trigger a", "config greeting: set", " pay: version 2 deployed: live is at version 2", " pay: removed"}
	if got := lines(p.Steps); !slices.Equal(got, want) {
		t.Errorf("steps = %q, want %q", got, want)
	}
	p, err = NewPasts(log).At(t.Context(), PastQuery{At: day.Add(time.Hour), Want: every, Max: 2})
	if err != nil {
		t.Fatal(err)
	}
	if got := lines(p.Steps); !slices.Equal(got, want[3:]) || !p.Older {
		t.Errorf("the newest two steps = %q and older ones: %v, want %q and true", got, p.Older, want[3:])
	}
}

func TestAStepThatWasNotAcceptedIsNoneOfThePast(t *testing.T) {
	log := newLog(t)
	c, _ := start(t, log, nil)
	submit(t, c, Deploy{Version: version("pay", on("a", "events", "x"))})
	write(t, log, event.TypeFunctionRemoved, "pay", 77, "")
	part := partOf(t, "pay", together{ID: "1", Part: 1, Parts: 2}, "")
	if _, err := log.Append(t.Context(), []eventlog.Record{part}); err != nil {
		t.Fatal(err)
	}
	p, err := NewPasts(log).At(t.Context(), PastQuery{At: time.Now(), Want: func(*Step) bool { return true }, Max: 10})
	if err != nil {
		t.Fatal(err)
	}
	if got := lines(p.Steps); !slices.Equal(got, []string{" pay: version 1 deployed: live is at version 1"}) {
		t.Errorf("steps = %q, want the one that was accepted", got)
	}
	if _, err := p.View.Function("pay"); err != nil {
		t.Errorf("the function is gone: %v", err)
	}
}

func TestWordsOfSteps(t *testing.T) {
	live := &function.Alias{Name: "live", Primary: 1, Weights: map[int]int{2: 10}}
	for _, tt := range []struct {
		typ  string
		p    payload
		want string
	}{
		{event.TypeAliasShifted, payload{Alias: live}, "live is at version 1, 10% at version 2"},
		{event.TypeAliasShifted, payload{Alias: live, Back: true}, "rolled back: live is at version 1, 10% at version 2"},
		{event.TypeKeyPaused, payload{Trigger: "a", Key: "k"}, `key "k" of trigger a paused`},
		{event.TypeRolloutStarted, payload{Alias: live, Rollout: &rolloutPayload{To: 2, Rules: &function.Rollout{Strategy: function.StrategyCanary}}}, "the roll-out at live to version 2 started (canary)"},
		{event.TypeRolloutFailed, payload{Rollout: &rolloutPayload{Gate: "errors", Reason: "too many errors"}}, "the roll-out failed and went back: too many errors"},
		{event.TypeRolloutFinished, payload{Rollout: &rolloutPayload{State: "succeeded"}}, "the roll-out ended: succeeded"},
		{event.TypeFunctionDeployed, payload{Version: &function.Version{Number: 3}}, "version 3 made, at no alias yet"},
		{"dalamb.moon.landed.v9", payload{}, "dalamb.moon.landed.v9"},
	} {
		if got := tt.p.words(tt.typ); got != tt.want {
			t.Errorf("words(%s) = %q, want %q", tt.typ, got, tt.want)
		}
	}
	for _, typ := range event.ControlTypes() {
		p := payload{Version: &function.Version{}, Alias: live, Replay: &replayPayload{}, Copy: &copyPayload{}, Note: &notePayload{}, Drops: []int{1}}
		if p.words(typ) == typ && !strings.HasPrefix(typ, "dalamb.rollout.") {
			t.Errorf("%s has no words", typ)
		}
	}
}

// counted is a log that counts the control events that are read.
type counted struct {
	eventlog.Log
	read int
}

func (c *counted) Read(ctx context.Context, p eventlog.Partition, from int64, o eventlog.ReadOptions) ([]eventlog.Record, error) {
	o.MaxRecords = min(o.MaxRecords, 3)
	rs, err := c.Log.Read(ctx, p, from, o)
	c.read += len(rs)
	return rs, err
}

// changed fills a log with 200 changes of two functions, a minute each, the part of several that waits for the rest, and what is refused.
func changed(t *testing.T) (log eventlog.Log, day time.Time) {
	day = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	at := &dated{Log: newLog(t), at: day}
	c, _ := start(t, at, nil)
	submit(t, c, Deploy{Version: version("pay", on("a", "events", "x"))})
	submit(t, c, Deploy{Version: version("take", on("a", "events", "x"))})
	for i := range 200 {
		at.at = day.Add(time.Duration(i+1) * time.Minute)
		submit(t, c, Pause{Function: []string{"pay", "take"}[i%2], Trigger: "a", Paused: i%4 < 2})
		if i == 100 {
			write(t, at, event.TypeFunctionRemoved, "pay", 1, "")
			if _, err := at.Append(t.Context(), []eventlog.Record{partOf(t, "pay", together{ID: "1", Part: 1, Parts: 2}, "")}); err != nil {
				t.Fatal(err)
			}
		}
	}
	return at, day
}

// told is all that a view says of functions.
func told(t *testing.T, v *View) string {
	text, err := json.Marshal(v.Functions())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAMarkChangesNoAnswer(t *testing.T) {
	log, day := changed(t)
	reader := &counted{Log: log}
	kept := NewPasts(reader)
	kept.every = 2 // so that marks are thinned out, too
	for minute := 200; minute >= 0; minute -= 4 {
		q := PastQuery{At: day.Add(time.Duration(minute) * time.Minute), Since: day.Add(time.Duration(minute/2) * time.Minute), Want: func(*Step) bool { return true }, Max: 40}
		got, err := kept.At(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		want, err := NewPasts(log).At(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if told(t, got.View) != told(t, want.View) || got.View.Offset != want.View.Offset {
			t.Errorf("minute %d: with marks the view is another one", minute)
		}
		if !slices.Equal(lines(got.Steps), lines(want.Steps)) || got.Older != want.Older {
			t.Errorf("minute %d: steps = %q, %v, want %q, %v", minute, lines(got.Steps), got.Older, lines(want.Steps), want.Older)
		}
	}
	if len(kept.marks) > maxMarks {
		t.Errorf("%d marks are kept, want at most %d", len(kept.marks), maxMarks)
	}
	reader.read = 0
	if _, err := kept.At(t.Context(), PastQuery{At: day.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if reader.read > 30 {
		t.Errorf("%d control events were read, where a mark is near", reader.read)
	}
}

func TestAFoldThatIsGivenUpLeavesItsMarks(t *testing.T) {
	log, day := changed(t)
	ctx, cancel := context.WithCancel(t.Context())
	given := &givenUp{Log: log, after: 50, cancel: cancel}
	kept := NewPasts(given)
	kept.every = 10
	if _, err := kept.At(ctx, PastQuery{At: day.Add(24 * time.Hour)}); !errors.Is(err, context.Canceled) {
		t.Fatalf("err = %v, want that it was given up", err)
	}
	if n := len(kept.marks); n < 3 {
		t.Errorf("%d marks are left, want those of the first 50 control events", n)
	}
}

// givenUp is a log whose reader is given up after some control events.
type givenUp struct {
	eventlog.Log
	after  int
	cancel func()
}

func (g *givenUp) Read(ctx context.Context, p eventlog.Partition, from int64, o eventlog.ReadOptions) ([]eventlog.Record, error) {
	o.MaxRecords = min(o.MaxRecords, 10)
	rs, err := g.Log.Read(ctx, p, from, o)
	if g.after -= len(rs); g.after <= 0 {
		g.cancel()
	}
	return rs, err
}
