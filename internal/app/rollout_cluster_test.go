package app_test

import (
	"cmp"
	"maps"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/need/broker"
	"github.com/dalamb/dalamb/internal/wire"
)

// pairOfNodes are two nodes on one Kafka of which one carries a roll-out out.
type pairOfNodes struct {
	t       *testing.T
	nodes   [2]*node
	data    [2]string
	setting string
}

// carrier is which node judges the step that a roll-out is in, and what it knows; -1 = neither does at the moment.
func (p *pairOfNodes) carrier(d wire.Deployed, step int) (int, *function.RolloutFacts) {
	for i, n := range p.nodes {
		if n == nil {
			continue
		}
		r, err := n.client.RolloutByID(p.t.Context(), d.Function, d.Rollout)
		if err == nil && r.Step == step && r.State == function.RolloutRunning && r.Taken[step-1].Facts != nil {
			return i, r.Taken[step-1].Facts
		}
	}
	return -1, nil
}

// kill ends a node as a power cut would, and what is sent through it before.
func (p *pairOfNodes) kill(i int, l *paced) {
	l.stop()
	l.work.Wait()
	p.nodes[i].kill()
	p.nodes[i] = nil
}

func (p *pairOfNodes) await(what string, done func() bool) {
	p.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(2 * patience); !done(); <-tick.C {
		if time.Now().After(deadline) {
			p.t.Fatalf("waited %s for %s", 2*patience, what)
		}
	}
}

// Two nodes share a function's events and requests while a version is rolled out: by copies, then with half of the keys, then with all. The
// node that carries it out is killed while copies are made, and with DALAMB_LONG=1 the other one while the versions share the keys. The copies of both
// count, the roll-out goes on where it was, every event runs once, and no key goes back to the old version.
func TestARolloutOutlivesTheNodeThatCarriesItOut(t *testing.T) {
	brokers := need.KafkaCluster(t, broker.Options{Brokers: 1})
	p := &pairOfNodes{t: t, setting: "eventlog=kafka://" + brokers.Bootstrap()}
	for i := range p.nodes {
		p.data[i] = t.TempDir()
		p.nodes[i] = start(t, p.data[i], p.setting, "drain=5s")
	}
	c := newColors(t, p.nodes[0])
	c.is("blue")
	r := c.spec.Rollout
	r.Shadow = &function.Shadow{For: function.Duration(4 * time.Second), Sample: 100}
	r.Steps, r.Every, r.Watch = []function.Percent{50}, function.Duration(3*time.Second), function.Duration(time.Second)
	r.Gates.TooFew, r.Gates.Sample, r.Gates.Start = function.TooFewWait, 30, function.Duration(patience)
	for _, n := range p.nodes {
		until(t, "an answer", func() bool { return ask(http.DefaultClient, n.gateway) == "blue" })
	}
	loads := []*paced{startPaced(p.nodes[0]), startPaced(p.nodes[1])}
	defer func() {
		for _, l := range loads {
			l.stop()
		}
	}()
	d := c.is("blue 0")

	var first int
	var facts *function.RolloutFacts
	p.await("copies", func() bool {
		first, facts = p.carrier(d, 1)
		return facts != nil && facts.Shadow.Compared >= 50
	})
	before := facts.Shadow.Compared
	p.kill(first, loads[first])
	second := 1 - first
	p.await("the other node to carry it out", func() bool {
		var i int
		if i, facts = p.carrier(d, 1); i == second {
			return facts.Shadow.Compared >= before
		}
		i, facts = p.carrier(d, 2)
		return i == second
	})
	p.nodes[first] = start(t, p.data[first], p.setting, "drain=5s")
	loads = append(loads, startPaced(p.nodes[first]))
	last := second
	if os.Getenv("DALAMB_LONG") == "1" {
		p.await("the keys to be shared", func() bool {
			i, _ := p.carrier(d, 2)
			return i == second
		})
		p.kill(second, loads[second])
		last = first
		p.await("the first node to carry it out again", func() bool {
			i, _ := p.carrier(d, 2)
			j, _ := p.carrier(d, 3)
			return i == first || j == first || c.over(p.nodes[first], d)
		})
	}
	n := p.nodes[last]
	var end wire.Rollout
	p.await("the end of the roll-out", func() bool {
		var err error
		end, err = n.client.RolloutByID(t.Context(), d.Function, d.Rollout)
		return err == nil && end.Over()
	})
	if end.State != function.RolloutSucceeded || len(end.Taken) != 3 || end.Taken[0].Facts.Shadow.Compared < before || end.Taken[0].Facts.Shadow.Differing() > 0 {
		t.Errorf("it is %s after %d steps: %s, by %+v; want succeeded after 3, by copies from before the kill too", end.State, len(end.Taken), end.Reason, end.Taken[0].Facts)
	}
	accepted := 0
	for _, l := range loads {
		l.stop()
		l.work.Wait()
		accepted += len(l.accepted)
		for _, what := range slices.Sorted(maps.Keys(l.answers)) {
			if what != "blue" {
				t.Errorf("%d times %s", l.answers[what], what)
			}
		}
	}
	p.await("all runs to end", func() bool {
		return len(n.runs(client.RunQuery{Function: "colorpicker", State: function.RunSucceeded})) >= accepted
	})
	judgeRuns(t, n.runs(client.RunQuery{Function: "colorpicker"}), accepted)
	t.Logf("%d copies compared, %d events, the carrier killed after %d copies", end.Taken[0].Facts.Shadow.Compared, accepted, before)
	for _, n := range p.nodes {
		if n != nil {
			n.stop()
		}
	}
}

// over says whether a roll-out has ended, as a node knows it.
func (c *colors) over(n *node, d wire.Deployed) bool {
	r, err := n.client.RolloutByID(c.t.Context(), d.Function, d.Rollout)
	return err == nil && r.Over()
}

// judgeRuns wants one run of each event, and each key's on the old version first and on the new one then.
func judgeRuns(t *testing.T, runs []function.Run, accepted int) {
	t.Helper()
	if len(runs) != accepted {
		t.Errorf("%d runs of %d events", len(runs), accepted)
	}
	slices.SortFunc(runs, func(a, b function.Run) int {
		return cmp.Or(cmp.Compare(a.Event.Partition, b.Event.Partition), cmp.Compare(a.Event.Offset, b.Event.Offset))
	})
	at, shared := map[string]int{}, 0
	for _, r := range runs {
		version := r.Attempts[len(r.Attempts)-1].Version
		if r.State != function.RunSucceeded {
			t.Errorf("the run of %s is %s: %s", r.Event.Subject, r.State, r.Reason)
		}
		if version < at[r.Event.Key] {
			t.Errorf("key %s was at version %d, and its event %s at %d again", r.Event.Key, at[r.Event.Key], r.Event.Subject, version)
		}
		if version > at[r.Event.Key] && at[r.Event.Key] > 0 {
			shared++
		}
		at[r.Event.Key] = version
	}
	if shared < 20 {
		t.Errorf("%d of %d keys have met both versions, want most of them", shared, len(at))
	}
}
