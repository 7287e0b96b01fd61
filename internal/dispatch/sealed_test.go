package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

func TestRunsOfWhatIsForgottenArePassedOver(t *testing.T) {
	forgotten := func(seal string) bool { return seal == "gone" }
	for name, c := range map[string]struct {
		seal, why, reason string
	}{
		"open":                         {"", "", ""},
		"said by who sent it":          {"", event.SealedForgotten, ""},
		"copied, and forgotten":        {"", event.SealedForgotten, "forgotten"},
		"copied, and damaged":          {"", event.SealedDamaged, "cannot be opened"},
		"sealed":                       {"there", "", ""},
		"forgotten while it waited":    {"gone", "", "forgotten"},
		"forgotten before it was read": {"gone", event.SealedForgotten, "forgotten"},
		"not what was sealed":          {"there", event.SealedDamaged, "cannot be opened"},
	} {
		w := attempted(function.Retry{})
		w.state, w.cause.Seal = "", c.seal
		if c.why != "" {
			w.cause.Extensions = map[string]any{event.ExtSealed: c.why}
		}
		if strings.HasPrefix(name, "copied") {
			w.cause.Data = nil
		}
		if err := (fetch{forgotten: forgotten}).do(context.Background(), w); err != nil {
			t.Fatal(err)
		}
		if passed := w.state == function.RunDiscarded; passed != (c.reason != "") || !strings.Contains(w.reason, c.reason) {
			t.Errorf("%s: %q %q, want the reason %q", name, w.state, w.reason, c.reason)
		}
		if c.reason != "" && w.origin.ID != w.cause.ID {
			t.Errorf("%s: the run is about %+v", name, w.origin)
		}
	}
}

func TestWhatRepeatsASealedEventSaysSo(t *testing.T) {
	w := attempted(function.Retry{})
	w.cause.Seal = "by"
	w.result, w.state = succeed(), function.RunSucceeded
	w.result.Body = []byte(`{"name":"Ada"}`)
	s := record{now: time.Now}
	if err := s.do(context.Background(), w); err != nil {
		t.Fatal(err)
	}
	var run function.Run
	if err := json.Unmarshal(w.records[0].Value, &run); err != nil || run.Result != nil || run.ResultRaw != nil {
		t.Errorf("run = %+v, %v; want one without its result, which may repeat what is sealed", run, err)
	}
	w.state = function.RunDead
	dead, err := s.deadLetter(w, run)
	if err != nil || dead.Seal == nil || dead.Seal.By != "by" {
		t.Errorf("dead letter has the seal %+v, %v", dead.Seal, err)
	}
	w.keys = keysOf("topic", 0)
	rs, err := w.delay(nil)
	if err != nil || rs[0].Seal == nil || rs[0].Seal.By != "by" {
		t.Errorf("delayed event has the seal %+v, %v", rs, err)
	}
}

func TestADelayedEventThatIsForgottenSaysSo(t *testing.T) {
	wd := newWorld(t, setting{})
	defer wd.close()
	keys := keysOf("topic", 0)
	r := keys.delay(keys.delayed(7, 3), []byte{})
	r.Headers = []eventlog.Header{{Name: event.HeaderSeal, Value: []byte("gone")}}
	if _, err := wd.disk.Append(t.Context(), []eventlog.Record{r}); err != nil {
		t.Fatal(err)
	}
	if found, err := newShelf(wd.disk, keys).find(t.Context(), 7, 3); !errors.Is(err, errForgotten) {
		t.Errorf("find = %+v, %v; want errForgotten", found, err)
	}
}

// By a digest who can guess what an event said finds out that he is right, also when it is forgotten.
func TestNoDigestOfASealedEventStandsWithItsRun(t *testing.T) {
	wd := newWorld(t, setting{})
	defer wd.close()
	if _, err := wd.cat.Submit(t.Context(), catalog.SetTopic{Topic: "out", Change: &function.TopicRulesChange{Seal: new(true)}}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		to, by string
		replay *catalog.Replay
		digest bool
	}{
		"to a topic that is not sealed":                {"events", "", nil, true},
		"of a sealed event, to one that is not":        {"events", "by", nil, true},
		"to a sealed topic":                            {"out", "", nil, false},
		"of a sealed event, to a sealed one":           {"out", "by", nil, false},
		"replayed, and sealed for another key":         {"out", "other", &catalog.Replay{}, false},
		"replayed, and what is told of it is sealed":   {"out", "by", &catalog.Replay{}, true},
		"replayed, and what is told of it is not":      {"out", "", &catalog.Replay{}, false},
		"replayed, to one that is not sealed, as ever": {"events", "", &catalog.Replay{}, true},
	} {
		w := attempted(function.Retry{})
		w.emitTo, w.cause.Seal, w.trigger.Replay = c.to, c.by, c.replay
		given := &event.Event{Type: "done", Subject: w.cause.Key(), Data: []byte(`{"name":"Ada"}`)}
		if c.by == "other" {
			given.Subject = "ada"
		}
		w.result, w.state = succeed(given), function.RunSucceeded
		s := emit{quotas: noQuotas{}, topics: &topics{log: wd.disk}, limit: 4096, now: time.Now, view: wd.cat.View}
		if err := s.do(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		if len(w.emitted) != 1 || (w.emitted[0].Digest != "") != c.digest {
			t.Errorf("%s: state %s %q, emitted %+v, want a digest: %v", name, w.state, w.reason, w.emitted, c.digest)
		}
	}
}

func TestWhatAReplayCapturesForASealedTopicIsSealedForItsKeyOrNotKept(t *testing.T) {
	wd := newWorld(t, setting{})
	defer wd.close()
	if _, err := wd.cat.Submit(t.Context(), catalog.SetTopic{Topic: "out", Change: &function.TopicRulesChange{Seal: new(true)}}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		to, by, key string
		kept        bool
	}{
		"to a topic that is not sealed":            {"events", "", "ada", true},
		"of an event that is not sealed":           {"out", "", "ada", false},
		"of a sealed event of the same key":        {"out", "by", "ada", true},
		"of a sealed event of somebody else's key": {"out", "by", "bob", false},
	} {
		w := attempted(function.Retry{})
		w.emitTo, w.trigger.Replay = c.to, &catalog.Replay{Replay: function.Replay{Name: "again", Output: function.ReplayCapture}}
		w.cause = &event.Event{ID: "c", Source: "/t", Type: "begun", Subject: c.key, Seal: c.by}
		w.result, w.state = succeed(&event.Event{Type: "done", Subject: "ada", DataContentType: "application/json", Data: []byte(`{"name":"Canary"}`)}), function.RunSucceeded
		s := emit{quotas: noQuotas{}, topics: &topics{log: wd.disk}, limit: 4096, now: time.Now, view: wd.cat.View}
		if err := s.do(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		if len(w.captured) != 1 || strings.Contains(string(w.captured[0]), "Canary") != c.kept || strings.Contains(string(w.captured[0]), event.SealedLeftOut) == c.kept {
			t.Errorf("%s: state %s %q, captured %s, want its data: %v", name, w.state, w.reason, w.captured, c.kept)
		}
	}
}
