package catalog

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
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

// partOf is a control event that deploys a function as a part of several, with a field that nobody may be able to read.
func partOf(t *testing.T, name string, of together, more string) eventlog.Record {
	t.Helper()
	e, err := Deploy{Version: version(name)}.event(t.Context(), scene{log: newLog(t), view: newState().publish(nil), now: time.Now()})
	if err == nil && of.Parts > 0 {
		err = mark(e, of)
	}
	if err != nil {
		t.Fatal(err)
	}
	if more != "" {
		e.Data = append([]byte("{"+more+","), e.Data[1:]...)
	}
	return eventlog.FromEvent(control.Topic, e)
}

// Nothing that lacks a part counts, and nothing waits for a part that cannot come.
func TestPartsThatCannotBeWholeAreLost(t *testing.T) {
	part := func(name string, n, of int) eventlog.Record { return partOf(t, name, together{"x", n, of}, "") }
	one, two, three := part("a", 1, 3), part("b", 2, 3), part("c", 3, 3)
	alone := partOf(t, "alone", together{}, "")
	ofOther := partOf(t, "other", together{"y", 1, 2}, "")
	unreadable := partOf(t, "c", together{"x", 3, 3}, `"drops":"none"`)
	unreadableSecond := partOf(t, "b", together{"x", 2, 3}, `"drops":"none"`)
	unreadableOther := partOf(t, "other", together{}, `"drops":"none"`)
	garbage := alone
	garbage.Value = []byte("{")
	for _, tc := range []struct {
		name    string
		records []eventlog.Record
		lost    []int64
		waiting int // changes of which a part is there
		there   string
	}{
		{"all", numbered(one, two, three), nil, 0, "a b c"},
		{"the second is missing", numbered(one, three, alone), []int64{0, 1}, 0, "alone"},
		{"the first is missing", numbered(two, three, alone), []int64{0, 1}, 0, "alone"},
		{"the last alone", numbered(three, alone), []int64{0}, 0, "alone"},
		{"the second twice", numbered(one, two, two, three), []int64{0, 1, 2, 3}, 0, ""},
		{"they disagree on how many", numbered(one, part("b", 2, 2)), []int64{0, 1}, 0, ""},
		{"more than there are", numbered(one, two, part("c", 3, 2)), []int64{0, 1, 2}, 0, ""},
		{"none is number 0", numbered(part("a", 0, 3)), []int64{0}, 0, ""},
		{"the last cannot be read", numbered(one, two, unreadable, alone), []int64{0, 1, 2}, 0, "alone"},
		{"the second cannot be read", numbered(one, unreadableSecond, three), []int64{0, 1, 2}, 0, ""},
		{"what it is cannot be read", numbered(one, two, ofOther, garbage, three), []int64{0, 1, 2, 3, 4}, 0, ""},
		{"others' in between", numbered(one, alone, ofOther, two, three), nil, 1, "a alone b c"},
		{"one of others' cannot be read", numbered(one, unreadableOther, two, three), []int64{1}, 0, "a b c"},
		{"the last is not there yet", numbered(one, two, alone), nil, 1, "alone"},
	} {
		s := newState()
		var lost []int64
		for _, r := range s.foldAll(tc.records, slog.New(slog.DiscardHandler)) {
			if !r.own {
				t.Errorf("%s: nobody is told that %d is lost", tc.name, r.offset)
			}
			lost = append(lost, r.offset)
		}
		slices.Sort(lost)
		var names []string
		for _, f := range s.publish(nil).Functions() {
			names = append(names, f.Name)
		}
		if there := strings.Join(names, " "); !slices.Equal(lost, tc.lost) || len(s.parts) != tc.waiting || there != tc.there {
			t.Errorf("%s: lost %v, %d waiting, there is %q; want %v, %d, %q", tc.name, lost, len(s.parts), there, tc.lost, tc.waiting, tc.there)
		}
	}
}

// An older binary makes each part alone, and may keep a snapshot of that.
func TestWhatAnOlderBinaryKeptIsNotTaken(t *testing.T) {
	log, file := newLog(t), &memory{}
	c, stop := start(t, log, file)
	want := describe(submit(t, c, Deploy{Version: version("pay")}))
	stop()
	var kept snapshotFile
	data, _ := file.Load()
	if err := json.Unmarshal(data, &kept); err != nil {
		t.Fatal(err)
	}
	kept.Format, kept.Functions[0].Name = 3, "half"
	data, err := json.Marshal(kept)
	if err != nil {
		t.Fatal(err)
	}
	file.data.Store(&data)
	c, stop = start(t, log, file)
	if got := describe(c.View()); got != want {
		t.Errorf("after the upgrade: %s, want what the log says: %s", got, want)
	}
	stop()
	data, _ = file.Load()
	if err := json.Unmarshal(data, &kept); err != nil || kept.Format != snapshotFormat {
		t.Errorf("the stop kept a snapshot of format %d, %v; want %d", kept.Format, err, snapshotFormat)
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
