package catalog

import (
	"context"
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
		p, err := ReadPast(t.Context(), log, PastQuery{At: tt.at})
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
	p, err := ReadPast(t.Context(), log, PastQuery{At: day.Add(time.Hour), Want: every, Max: 10})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{" pay: version 1 deployed: live is at version 1", " pay: paused: trigger a", "config greeting: set", " pay: version 2 deployed: live is at version 2", " pay: removed"}
	if got := lines(p.Steps); !slices.Equal(got, want) {
		t.Errorf("steps = %q, want %q", got, want)
	}
	p, err = ReadPast(t.Context(), log, PastQuery{At: day.Add(time.Hour), Want: every, Max: 2})
	if err != nil {
		t.Fatal(err)
	}
	if got := lines(p.Steps); !slices.Equal(got, want[3:]) || p.Older != 3 {
		t.Errorf("the newest two steps = %q and %d older, want %q and 3", got, p.Older, want[3:])
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
	p, err := ReadPast(t.Context(), log, PastQuery{At: time.Now(), Want: func(*Step) bool { return true }, Max: 10})
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
