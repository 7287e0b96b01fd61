package catalog

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
)

func TestSharedNotesSurviveARestartAndAreChangedByOneAtATime(t *testing.T) {
	log, store := newLog(t), &memory{}
	c, stop := start(t, log, store)
	first := submit(t, c, SharedNote{Key: "rule/a", Text: json.RawMessage(`{"a":1}`), Expects: -1})
	submit(t, c, SharedNote{Key: "rule/b", Text: json.RawMessage(`2`), Expects: -1})
	submit(t, c, SharedNote{Key: "other", Text: json.RawMessage(`3`), Expects: -1})
	text, last := first.SharedNote("rule/a")
	if string(text) != `{"a":1}` {
		t.Fatalf("the note is %s", text)
	}
	submit(t, c, SharedNote{Key: "rule/a", Text: json.RawMessage(`4`), Expects: last})
	if again, _ := first.SharedNote("rule/a"); string(again) != `{"a":1}` {
		t.Errorf("the older view has changed: %s", again)
	}
	check := func(when string, v *View) {
		t.Helper()
		text, expects := v.SharedNote("rule/a")
		if string(text) != `4` || expects <= last || !slices.Equal(v.SharedNotes("rule/"), []string{"rule/a", "rule/b"}) {
			t.Errorf("%s: %s at %d, of %v", when, text, expects, v.SharedNotes(""))
		}
	}
	stop()
	c, stop = start(t, log, store)
	check("from the snapshot", caughtUp(t, c))
	stop()
	c, _ = start(t, log, nil)
	check("from the log", caughtUp(t, c))

	for what, n := range map[string]struct {
		note SharedNote
		kind fault.Kind
	}{
		"decided upon what is older":    {SharedNote{Key: "rule/a", Text: json.RawMessage(`1`), Expects: last}, fault.Conflict},
		"that is there, as a new one":   {SharedNote{Key: "rule/b", Text: json.RawMessage(`1`), Expects: -1}, fault.Conflict},
		"too large":                     {SharedNote{Key: "c", Text: json.RawMessage(`"` + strings.Repeat("x", maxSharedNote) + `"`), Expects: -1}, fault.TooLarge},
		"taken away that was not there": {SharedNote{Key: "c", Expects: -1}, fault.NotFound},
	} {
		if _, err := c.Submit(t.Context(), n.note); fault.KindOf(err) != n.kind {
			t.Errorf("a note %s: %v, want %v", what, err, n.kind)
		}
	}
	_, last = c.View().SharedNote("rule/a")
	v := submit(t, c, SharedNote{Key: "rule/a", Expects: last})
	if text, expects := v.SharedNote("rule/a"); text != nil || expects <= last {
		t.Errorf("after it was taken away: %s at %d", text, expects)
	}
	_, last = v.SharedNote("rule/a")
	submit(t, c, SharedNote{Key: "rule/a", Text: json.RawMessage(`5`), Expects: last})
}

func TestSharedNotesAreBounded(t *testing.T) {
	s := scene{view: &View{}}
	s.view.settings.Notes = map[string]json.RawMessage{}
	for i := range maxSharedNotes {
		s.view.settings.Notes[fmt.Sprint(i)] = json.RawMessage(`1`)
	}
	if _, err := (SharedNote{Key: "more", Text: json.RawMessage(`1`), Expects: -1}).event(t.Context(), s); fault.KindOf(err) != fault.Exhausted {
		t.Errorf("one note more: %v, want exhausted", err)
	}
	if _, err := (SharedNote{Key: "1", Text: json.RawMessage(`2`), Expects: -1}).event(t.Context(), s); err != nil {
		t.Errorf("a note that is there: %v", err)
	}
}

func TestNotesThatAreGoneAreForgottenInTheEnd(t *testing.T) {
	log, store := newLog(t), &memory{}
	c, stop := start(t, log, store)
	const over = 5
	key := func(i int) string { return fmt.Sprintf("replay/%04d", i) }
	var added, removed []Change
	for i := range maxForgotten + over {
		added = append(added, SharedNote{Key: key(i), Text: json.RawMessage(`1`), Expects: -1})
	}
	v, err := c.SubmitAll(t.Context(), added)
	if err != nil {
		t.Fatal(err)
	}
	for i := range maxForgotten + over {
		_, last := v.SharedNote(key(i))
		removed = append(removed, SharedNote{Key: key(i), Expects: last})
	}
	if _, err := c.SubmitAll(t.Context(), removed); err != nil {
		t.Fatal(err)
	}
	check := func(when string, v *View) {
		t.Helper()
		if len(v.last) != maxForgotten {
			t.Errorf("%s: %d offsets are kept, want %d", when, len(v.last), maxForgotten)
		}
		for i := range maxForgotten + over {
			if _, last := v.SharedNote(key(i)); (last >= 0) != (i >= over) {
				t.Fatalf("%s: note %d is expected at %d", when, i, last)
			}
		}
	}
	check("at once", c.View())
	stop()
	c, stop = start(t, log, store)
	check("from the snapshot", caughtUp(t, c))
	stop()
	c, _ = start(t, log, nil)
	check("from the log", caughtUp(t, c))
	_, was := v.SharedNote(key(0))
	if _, err := c.Submit(t.Context(), SharedNote{Key: key(0), Text: json.RawMessage(`2`), Expects: was}); fault.KindOf(err) != fault.Conflict {
		t.Errorf("a change of a note that was forgotten: %v, want a conflict", err)
	}
	submit(t, c, SharedNote{Key: key(0), Text: json.RawMessage(`2`), Expects: -1})
}
