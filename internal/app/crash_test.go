package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/need"
)

// shop is a chain of one function of each entry type, none of which calls another. An attempt that a kill ends counts, so only
// orders that cannot be paid have few of them.
func shop(self, mark string) string {
	return fmt.Sprintf(`
name: check
code: .
entry: {type: stdio, command: [/bin/sh, check.sh]}
env: {MARK: %[2]s}
triggers:
  - {name: on-requested, topic: events, filter: {type: [order.requested]}, retry: {attempts: 100}, emit: {topic: events}}
---
name: pay
code: .
entry: {type: http, command: [%[1]s, function, http, order.paid], port: 8080}
resources: {memory: 512Mi} # it may be the test itself, under the race detector
env: {MARK: %[2]s}
triggers:
  - name: on-checked
    topic: events
    filter: {type: [order.checked], data: {card: [{exists: false}]}}
    retry: {attempts: 100}
    emit: {topic: events}
  - name: on-poor
    topic: events
    filter: {type: [order.checked], data: {card: [declined]}}
    retry: {attempts: 4, initial: 20ms, max: 100ms}
    emit: {topic: events}
---
name: confirm
code: .
entry: {type: lambda, command: [%[1]s, function, lambda, order.done]}
resources: {memory: 512Mi} # it may be the test itself, under the race detector
env: {MARK: %[2]s}
triggers:
  - {name: on-paid, topic: events, filter: {type: [order.paid]}, retry: {attempts: 100}, emit: {topic: events}}
`, self, mark)
}

// shopCode has this binary in it for runners whose functions see their own code only.
func shopCode(t testing.TB, runner string) string {
	files := map[string]string{"check.sh": `exec sed 's/"type":"order.requested"/"type":"order.checked"/'`}
	if runner != "process" {
		program, err := os.ReadFile(self(t))
		if err != nil {
			t.Fatal(err)
		}
		files["program"] = string(program)
	}
	return directory(t, files)
}

// orders are what customers sent, and what they were promised.
type orders struct {
	mu    sync.Mutex
	acked map[string]order // by the order's number
	sent  int
}

// send sends orders until the node is gone. Every seventh cannot be paid; five customers have several orders each.
func (o *orders) send(n *node, count int) {
	for range count {
		o.mu.Lock()
		i := o.sent
		o.sent++
		o.mu.Unlock()
		one := order{Order: fmt.Sprintf("o-%04d", i), Key: fmt.Sprintf("customer-%d", i%5)}
		if i%7 == 3 {
			one.Card = "declined"
			one.Key = "poor-" + one.Order // nobody waits behind it
		}
		data, err := json.Marshal(one)
		if err != nil {
			n.t.Error(err)
			return
		}
		if n.emit("order.requested", one.Order, one.Key, string(data)) != nil {
			return // killed; whether the order is in the log is not known
		}
		o.mu.Lock()
		o.acked[one.Order] = one
		o.mu.Unlock()
	}
}

// TestKilledAgainAndAgain kills the node at random moments while orders go through the shop. Afterwards every acknowledged order
// has ended once, in the state that it should, and in the order of its customer.
func TestKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	killed(t, "process")
}

// TestKilledAgainAndAgainFenced is the same with functions in sandboxes.
func TestKilledAgainAndAgainFenced(t *testing.T) {
	t.Parallel()
	need.Linux(t)
	need.Root(t)
	killed(t, "native")
}

func killed(t *testing.T, runner string) {
	rounds := 12
	if os.Getenv("DALAMB_LONG") == "1" {
		rounds = 100
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	data, sign := t.TempDir(), mark()
	settings := []string{"runner=" + runner}
	o := &orders{acked: map[string]order{}}

	for round := range rounds {
		n := start(t, data, settings...)
		if round == 0 {
			n.deploy(shopCode(t, runner), shop(shopProgram(t, runner), sign))
		}
		var sender sync.WaitGroup
		sender.Go(func() { o.send(n, 8) })
		select {
		case <-time.After(time.Duration(random.IntN(400)) * time.Millisecond):
		case <-n.done:
			t.Fatalf("the node ended by itself: %v\n%s", n.err, n.log)
		}
		n.kill()
		sender.Wait()
	}
	n := start(t, data, settings...)
	o.send(n, 8)
	until(t, "all orders to end", func() bool { return len(o.open(n)) == 0 })
	t.Logf("%d kills, %d orders sent, %d acknowledged", rounds, o.sent, len(o.acked))
	o.check(t, n)
	n.stop()
	if runtime.GOOS == "linux" {
		if left := marked(t, sign); len(left) > 0 {
			t.Errorf("processes left behind: %q", left)
		}
	}
}

// shopProgram is this binary where the runner's functions see it.
func shopProgram(t *testing.T, runner string) string {
	if runner == "process" {
		return self(t)
	}
	return "./program"
}

// open are the acknowledged orders that have not ended.
func (o *orders) open(n *node) map[string]order {
	open := maps.Clone(o.acked)
	for _, f := range n.facts(function.TopicEvents) {
		if f.Type == "order.done" {
			delete(open, f.Subject)
		}
	}
	for _, r := range n.runs(client.RunQuery{State: function.RunDead}) {
		delete(open, r.Event.Subject)
	}
	return open
}

// check looks for everything that a crash could have broken.
func (o *orders) check(t *testing.T, n *node) {
	t.Helper()
	facts := n.facts(function.TopicEvents)
	count := map[string]int{} // type and order -> how often
	ids := map[string]bool{}
	type lane struct {
		key  string
		kind string
	}
	subjects := map[lane][]string{}
	began := map[string]int64{} // customer -> when pay began with the last order
	for _, f := range facts {
		count[f.Type+" "+f.Subject]++
		if ids[f.ID+" "+f.Source] {
			t.Errorf("event %s from %s stands in the topic twice", f.ID, f.Source)
		}
		ids[f.ID+" "+f.Source] = true
		l := lane{f.Key, f.Type}
		subjects[l] = append(subjects[l], f.Subject)
		if f.Type == "order.paid" {
			var d order
			if err := json.Unmarshal(f.Data, &d); err != nil {
				t.Fatalf("decode %s: %v", f.Data, err)
			}
			if d.Began < began[f.Key] {
				t.Errorf("pay began with %s of %s before it had ended the order before", f.Subject, f.Key)
			}
			began[f.Key] = d.Began
		}
	}
	for what, n := range count {
		if n != 1 {
			t.Errorf("%s stands in the topic %d times, want once", what, n)
		}
	}
	for id, one := range o.acked {
		want := 1
		if one.Card == "declined" {
			want = 0
		}
		for typ, n := range map[string]int{"order.requested": 1, "order.checked": 1, "order.paid": want, "order.done": want} {
			if got := count[typ+" "+id]; got != n {
				t.Errorf("order %s (card %q): %d events %s, want %d", id, one.Card, got, typ, n)
			}
		}
	}
	for l, requested := range subjects {
		if l.kind != "order.requested" {
			continue
		}
		for _, kind := range []string{"order.checked", "order.paid", "order.done"} {
			if got := subjects[lane{l.key, kind}]; len(got) > 0 && !slices.Equal(got, requested) {
				t.Errorf("%s of %s: %s %v, want the order of the requests %v", kind, l.key, kind, got, requested)
			}
		}
	}
	o.checkRuns(t, n)
}

func (o *orders) checkRuns(t *testing.T, n *node) {
	t.Helper()
	finished := map[string]int{}
	for _, f := range n.facts(function.TopicRuns) {
		var r function.Run
		if err := json.Unmarshal(f.Data, &r); err != nil {
			t.Fatalf("decode run: %v", err)
		}
		if r.State != function.RunRetrying {
			finished[r.ID]++
		}
	}
	all := n.runs(client.RunQuery{})
	slices.SortFunc(all, func(a, b function.Run) int { return int(a.Event.Offset - b.Event.Offset) })
	last := map[string]time.Time{} // trigger, partition and key -> the end of the last attempt
	for _, r := range all {
		if finished[r.ID] != 1 {
			t.Errorf("run %s of %s/%s has %d ends in the log, want 1", r.ID, r.Function, r.Trigger, finished[r.ID])
		}
		where := fmt.Sprint(r.Function, r.Trigger, r.Event.Partition, r.Event.Key)
		for _, a := range r.Attempts {
			if a.Start.IsZero() {
				continue // the node was killed while it ran: when it began was not written
			}
			if a.Start.Before(last[where]) {
				t.Errorf("attempt %d of %s on %s began at %s, before the attempt before it had ended at %s", a.Number, r.Function, r.Event.Subject, a.Start, last[where])
			}
			last[where] = a.Start.Add(a.Duration.Std())
		}
	}
	dead := 0
	for id, one := range o.acked {
		if one.Card == "declined" {
			dead++
			i := slices.IndexFunc(all, func(r function.Run) bool { return r.Function == "pay" && r.Event.Subject == id })
			if i < 0 || all[i].State != function.RunDead {
				t.Errorf("order %s is no dead letter of pay", id)
				continue
			}
			if got := all[i].Attempts; len(got) != 4 || got[3].Number != 4 {
				t.Errorf("order %s: attempts %+v, want 4", id, got)
			}
		}
	}
	t.Logf("%d runs, %d dead letters", len(all), dead)
}

// marked are the processes that have the mark in their environment.
func marked(t *testing.T, sign string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, f := range files {
		env, err := os.ReadFile(f)
		if err == nil && bytes.Contains(env, []byte("MARK="+sign)) { // one that has ended meanwhile cannot be read
			line, _ := os.ReadFile(filepath.Join(filepath.Dir(f), "cmdline"))
			found = append(found, string(bytes.ReplaceAll(line, []byte{0}, []byte{' '})))
		}
	}
	return found
}
