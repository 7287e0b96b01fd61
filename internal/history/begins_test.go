package history

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

func TestAnIDIsKnownByItsBeginning(t *testing.T) {
	w := newWorld(t)
	for _, id := range []string{"abcd1", "abcd2", "abce1", "short", "shorter"} {
		r := w.run(event.TypeRunFinished, story(id, "pay", function.RunDead, 1))
		w.append(r)
		w.append(r)
	}
	w.append(w.dead(story("abcd2", "pay", function.RunDead, 1)))
	const beef = "beef0000-0000-7000-8000-00000000000"
	w.append(w.together(beef, manyLeast+2, 0, 1)) // the last character is 0 to 9
	w.append(w.together("batch", manyLeast, 0, 1))
	w.append(w.batchOf("beed0000-0000-7000-8000-000000000001", "e1", "e2", "f00d0000-0000-7000-8000-000000000001", "e3", "e4", "e5", "e6"))
	w.catchUp()
	for begin, want := range map[string]string{
		"abcd1": "abcd1", "abce": "abce1", "short": "short", "shorte": "shorter", beef + "7": beef + "7", "batch7": "batch7",
		"f00d": "f00d0000-0000-7000-8000-000000000001", "f00d0000-00": "f00d0000-0000-7000-8000-000000000001", "beed": "beed0000-0000-7000-8000-000000000001",
		"abc": "", "nobody": "", "": "", beef + "70": "", "\x00beef": "", "\x00batch": "", "f00d0000-1": "",
		"batch": "", // no UUID begins so
		"abcd":  "abcd1, abcd2", "beef": beef + "0, ", beef: beef + "0, ", "bee": "",
	} {
		got, err := w.RunID(t.Context(), begin)
		switch {
		case want == "":
			if fault.KindOf(err) != fault.NotFound {
				t.Errorf("RunID(%q) = %q, %v, want not found", begin, got, err)
			}
		case strings.Contains(want, ","):
			if fault.KindOf(err) != fault.Invalid || !strings.Contains(fault.HintOf(err), want) {
				t.Errorf("RunID(%q) = %q, %v, %q, want that several begin so", begin, got, err, fault.HintOf(err))
			}
		case got != want || err != nil:
			t.Errorf("RunID(%q) = %q, %v, want %s", begin, got, err, want)
		}
	}
	if got, err := w.DeadLetterID("abcd"); got != "abcd2" || err != nil {
		t.Errorf("of two runs one is a dead letter: %q, %v", got, err)
	}
	for i := range 2 * maxAlike {
		w.append(w.run(event.TypeRunFinished, story(fmt.Sprint("many", i), "pay", function.RunDead, 1)))
	}
	w.catchUp()
	if _, err := w.RunID(t.Context(), "many"); !strings.HasSuffix(fault.HintOf(err), "many4, ...") {
		t.Errorf("of many that begin so it names %q", fault.HintOf(err))
	}
}

// batchOf makes the record of a batch of runs with these ids.
func (w *world) batchOf(ids ...string) eventlog.Record {
	w.t.Helper()
	b := function.RunBatch{Run: story(ids[0], "pay", function.RunSucceeded, 1)}
	for _, id := range ids[1:] {
		b.Others = append(b.Others, function.RunRef{ID: id, Event: function.EventRef{Topic: "events", ID: "event-of-" + id}})
	}
	return record(w.t, function.TopicRuns, event.TypeBatchFinished, ids[0], b)
}

func TestWhatMayBeginTheIDOfARun(t *testing.T) {
	id := event.HashID([]byte("a run"))
	for end := range len(id) + 1 {
		if got, want := BeginsRun(id[:end]), end >= leastBegin && end < len(id); got != want {
			t.Errorf("BeginsRun(%q) = %v, want %v", id[:end], got, want)
		}
	}
	for _, text := range []string{"run-", "ABCD", "abcdefgh", "01234567f", "0123-", "0123\x00", "\x000123", "01é3", id + "0"} {
		if BeginsRun(text) {
			t.Errorf("BeginsRun(%q), want that no id of a run does", text)
		}
	}
}

// Who does not wait for the answer any more has no more read for him, and far back nothing is looked for.
func TestALookForABeginningIsBounded(t *testing.T) {
	w := newWorld(t)
	oldest := "f00d0000-0000-7000-8000-000000000001"
	w.append(w.batchOf(oldest, "e1", "e2", "e3", "e4", "e5", "e6", "e7"))
	large := strings.Repeat("x", begunBytes/8)
	for i := range 9 {
		first := fmt.Sprint("a", i)
		w.append(w.batchOf(first, large, first+"2", first+"3", first+"4", first+"5", first+"6", first+"7"))
	}
	w.catchUp()
	if got, err := w.RunID(t.Context(), "f00d"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("behind %d bytes: %q, %v, want not found", begunBytes, got, err)
	}
	if got, err := w.RunID(t.Context(), oldest); got != oldest || err != nil {
		t.Errorf("the whole id: %q, %v, want that it is found however far back", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.RunID(ctx, "f00d"); !errors.Is(err, context.Canceled) {
		t.Errorf("with nobody waiting: %v, want that it ends", err)
	}
}
