package catalog

import (
	"fmt"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

func TestCopiesBeginAndEndOnce(t *testing.T) {
	log, store := newLog(t), &memory{}
	c, stop := start(t, log, store)
	one := function.Copy{Name: "one", From: "other", FromID: "f", To: "there", ToID: "t", Log: "kafka://a:1"}
	v := submit(t, c, StartCopy{Copy: one, End: map[int32]int64{0: 7}})
	if got, err := v.Copy("one"); err != nil || got.Copy != one || got.End[0] != 7 || got.Ended != nil || got.Started.IsZero() {
		t.Fatalf("copy one = %+v, %v", got, err)
	}
	again := one
	again.Name = "again"
	for _, bad := range []Change{StartCopy{Copy: one}, StartCopy{Copy: again}} {
		if _, err := c.Submit(t.Context(), bad); fault.KindOf(err) != fault.Conflict {
			t.Errorf("%+v = %v, want conflict", bad, err)
		}
	}
	if _, err := c.Submit(t.Context(), EndCopy{Name: "oen"}); fault.KindOf(err) != fault.NotFound {
		t.Errorf("end what is not there = %v, want not found", err)
	}
	submit(t, c, EndCopy{Name: "one", State: function.CopyFailed, Reason: "because"})
	if _, err := c.Submit(t.Context(), EndCopy{Name: "one", State: function.CopyFinished}); fault.KindOf(err) != fault.Conflict {
		t.Errorf("end again = %v, want conflict", err)
	}
	submit(t, c, StartCopy{Copy: again})
	stop()
	c, _ = start(t, log, store) // from the snapshot
	if err := c.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	v = c.View()
	first, err := v.Copy("one")
	if err != nil || first.Ended == nil || first.Ended.State != function.CopyFailed || first.Ended.Reason != "because" || first.Ended.At.IsZero() {
		t.Errorf("copy one after a restart = %+v, %v", first, err)
	}
	if second, err := v.Copy("again"); err != nil || second.Ended != nil || len(v.Copies()) != 2 {
		t.Errorf("copy again after a restart = %+v, %v, of %d", second, err, len(v.Copies()))
	}
}

func TestOfCopiesThatAreOverTheNewestAreKept(t *testing.T) {
	s := settings{}
	for i := range keptCopies + 5 {
		p := payload{Copy: &copyPayload{Copy: function.Copy{Name: fmt.Sprint(i), FromID: "f", ToID: "t"}}}
		for _, typ := range []string{"dalamb.copy.started.v1", "dalamb.copy.ended.v1"} {
			if !s.carry(typ, p, birth{}.at) {
				t.Fatalf("%s of %d is not accepted", typ, i)
			}
			if s.carry(typ, p, birth{}.at) {
				t.Fatalf("%s of %d is accepted twice", typ, i)
			}
		}
	}
	if len(s.Copies) != keptCopies || s.Copies[0].Name != "5" {
		t.Errorf("%d copies are kept, the oldest %s", len(s.Copies), s.Copies[0].Name)
	}
}
