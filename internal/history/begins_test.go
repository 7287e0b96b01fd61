package history

import (
	"fmt"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/event"
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
	w.append(w.together("batch", 2*manyLeast, 0, 1)) // batch0 to batch15
	w.catchUp()
	for begin, want := range map[string]string{
		"abcd1": "abcd1", "abce": "abce1", "short": "short", "shorte": "shorter", "batch7": "batch7", "batch0": "batch0",
		"abc": "", "nobody": "", "": "", "batch70": "", "\x00batch": "",
		"abcd": "abcd1, abcd2", "batch": "batch0, ", "batch1": "batch1",
	} {
		got, err := w.RunID(begin)
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
	if _, err := w.RunID("many"); !strings.HasSuffix(fault.HintOf(err), "many4, ...") {
		t.Errorf("of many that begin so it names %q", fault.HintOf(err))
	}
}
