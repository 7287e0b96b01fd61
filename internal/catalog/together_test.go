package catalog

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// latest is how many versions a function had, and which one is live.
func latest(v *View, name string) string {
	f, err := v.Function(name)
	if err != nil {
		return "absent"
	}
	return fmt.Sprintf("%d, live %d", len(f.Versions), f.Aliases[function.LiveAlias].Primary)
}

func TestChangesAreMadeTogether(t *testing.T) {
	log := newLog(t)
	c, _ := start(t, log, nil)
	submit(t, c, Deploy{Version: version("old", on("a", "events", "x"))})
	submit(t, c, Deploy{Version: version("old", on("a", "events", "y"))})
	before := c.View().Offset
	v, err := c.SubmitAll(t.Context(), []Change{
		Deploy{Version: version("pay", on("a", "events", "z"))},
		Deploy{Version: version("mail", on("a", "events", "z"))},
		Shift{Function: "old", Alias: function.Alias{Name: function.LiveAlias, Primary: 1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"pay": "1, live 1", "mail": "1, live 1", "old": "2, live 1"} {
		if got := latest(v, name); got != want {
			t.Errorf("%s has %s, want %s", name, got, want)
		}
	}
	if v.Offset != before+3 {
		t.Errorf("the view is at %d, want %d", v.Offset, before+3)
	}
	uids := map[int64]string{}
	for _, f := range v.Functions() {
		for _, tr := range f.Triggers {
			if other, twice := uids[tr.UID]; twice {
				t.Errorf("%s/%s and %s have the UID %d", f.Name, tr.Name, other, tr.UID)
			}
			uids[tr.UID] = f.Name + "/" + tr.Name
		}
	}
	again, _ := start(t, log, nil)
	if got, want := describe(again.View()), describe(v); got != want {
		t.Errorf("folded again: %s\nat first:     %s", got, want)
	}
	if v, err := c.SubmitAll(t.Context(), nil); err != nil || v != c.View() {
		t.Errorf("of no change: %v, %v", v, err)
	}
}

func TestOneRefusedChangeRefusesAll(t *testing.T) {
	c, _ := start(t, newLog(t), nil)
	before := submit(t, c, Deploy{Version: version("old")})
	pay := Deploy{Version: version("pay")}
	for _, tc := range []struct {
		name    string
		changes []Change
		index   int
		kind    fault.Kind
	}{
		{"a topic that is not there", []Change{pay, Deploy{Version: version("mail", on("a", "nowhere", "x"))}}, 1, fault.NotFound},
		{"a function that is not there", []Change{Remove{"none"}, pay}, 0, fault.NotFound},
		{"the same function twice", []Change{pay, Remove{"old"}, pay}, 2, fault.Invalid},
	} {
		_, err := c.SubmitAll(t.Context(), tc.changes)
		refused, ok := errors.AsType[*Refused](err)
		if !ok || refused.Index != tc.index || fault.KindOf(err) != tc.kind {
			t.Errorf("%s: %v, want that change %d is refused as %v", tc.name, err, tc.index, tc.kind)
		}
	}
	if v := c.View(); v != before {
		t.Errorf("something was appended: the view is at %d, want %d", v.Offset, before.Offset)
	}
}

// overtaken are the records of a release of pay and mail, which somebody wrote who did not know that mail is there already; of a log with both.
func overtaken(t *testing.T) (c *Catalog, records []eventlog.Record) {
	t.Helper()
	log := newLog(t)
	c, _ = start(t, log, nil)
	events, err := eventsOf(t.Context(), []Change{Deploy{Version: version("pay")}, Deploy{Version: version("mail")}}, scene{log: log, view: c.View(), now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	submit(t, c, Deploy{Version: version("mail")})
	for _, e := range events {
		records = append(records, eventlog.FromEvent(control.Topic, e))
	}
	rs, err := log.Read(t.Context(), control, 0, eventlog.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return c, append(rs, records...)
}

// numbered gives records the offsets that they have in this order.
func numbered(records ...eventlog.Record) []eventlog.Record {
	for i := range records {
		records[i].Offset = int64(i)
	}
	return records
}

// What others write between the parts counts before all of them, and parts may come one at a time.
func TestNoPartCountsWithoutTheOthers(t *testing.T) {
	_, rs := overtaken(t)
	mail, first, second := rs[0], rs[1], rs[2]
	for _, tc := range []struct {
		name    string
		records []eventlog.Record
		lost    []rejection
		mail    string
		pay     string
	}{
		{"overtaken before", numbered(mail, first, second), []rejection{{1, false}, {2, true}}, "1, live 1", "absent"},
		{"overtaken in between", numbered(first, mail, second), []rejection{{0, false}, {2, true}}, "1, live 1", "absent"},
		{"first", numbered(first, second, mail), []rejection{{2, true}}, "1, live 1", "1, live 1"},
		{"the last part alone is missing", numbered(first), nil, "absent", "absent"},
	} {
		s := newState()
		var lost []rejection
		for i := range tc.records {
			lost = append(lost, s.foldAll(tc.records[:i+1], slog.New(slog.DiscardHandler))...) // those before again, too
		}
		v := s.publish(nil)
		if got := latest(v, "mail"); !slices.Equal(lost, tc.lost) || got != tc.mail {
			t.Errorf("%s: lost %v, mail %s; want %v, %s", tc.name, lost, got, tc.lost, tc.mail)
		}
		if got := latest(v, "pay"); got != tc.pay {
			t.Errorf("%s: pay %s, want %s", tc.name, got, tc.pay)
		}
	}
}

func TestNoSnapshotIsKeptBetweenParts(t *testing.T) {
	c, rs := overtaken(t)
	file := &memory{}
	c.snapshot = file
	s := newState()
	parts := numbered(rs[1], rs[2])
	s.foldAll(parts[:1], c.logger)
	if c.save(s); file.data.Load() != nil {
		t.Error("a snapshot was kept between the parts")
	}
	s.foldAll(parts[1:], c.logger)
	if c.save(s); file.data.Load() == nil {
		t.Error("no snapshot was kept after the last part")
	}
}

// Many writers on two nodes release two functions together and one of them alone. Whoever is told that all is made has made all of it.
func TestWritersAtTheSameTimeMakeAllOrNothing(t *testing.T) {
	log := newLog(t)
	a, _ := start(t, log, nil)
	b, _ := start(t, log, nil)
	var both, alone atomic.Int64
	var writers sync.WaitGroup
	for i := range 8 {
		c := []*Catalog{a, b}[i%2]
		writers.Go(func() {
			for range 20 {
				changes := []Change{Deploy{Version: version("pay")}, Deploy{Version: version("mail")}}
				count := &both
				if i%4 == 3 {
					changes, count = changes[1:], &alone
				}
				switch _, err := c.SubmitAll(t.Context(), changes); fault.KindOf(err) {
				case fault.Conflict:
				default:
					if err != nil {
						t.Error(err)
					}
					count.Add(1)
				}
			}
		})
	}
	writers.Wait()
	for _, c := range []*Catalog{a, b} {
		if err := c.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		newest := func(name string) int64 {
			f, err := c.View().Function(name)
			if err != nil {
				t.Fatal(err)
			}
			return int64(f.Versions[len(f.Versions)-1].Number)
		}
		if pay, mail := newest("pay"), newest("mail"); pay != both.Load() || mail != both.Load()+alone.Load() {
			t.Errorf("pay is at version %d and mail at %d, want %d and %d", pay, mail, both.Load(), both.Load()+alone.Load())
		}
	}
	if got, want := describe(a.View()), describe(b.View()); got != want {
		t.Errorf("the nodes disagree:\n%s\n%s", got, want)
	}
}
