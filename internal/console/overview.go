package console

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// overviewPage is what goes on now.
type overviewPage struct {
	Problems   []string // what could not be asked
	Node       wire.Node
	Nodes      []wire.NodeStatus // where there are several
	Running    int               // instances, on all nodes
	Health     wire.NodeHealth
	Ill        []wire.Health // functions that are not healthy
	Functions  []wire.FunctionSummary
	Lag        int64
	LagPartial bool // it is at least so many
	Instances  wire.InstanceList
	States     map[string]int // instances by state
	Rollouts   []wire.Rollout // under way
	Topics     []topicRate
	MoreTopics int          // that are not shown
	Alerts     []wire.Alert // that fire
	Rate       *float64     // events a second, of all topics that are not dalamb's own; nil = not known yet
	Runs       []stateCount
	Counted    time.Time // from when on the runs are counted
	Short      bool      // that is less than 15 minutes ago
	Changes    []change
}

// stateCount is how many runs of the last 15 minutes are in a state.
type stateCount struct {
	State function.RunState
	Count int64
}

func (c *Console) overview(v *visit) (frame, error) {
	p := overviewPage{States: map[string]int{}}
	ctx := v.r.Context()
	all := together{}
	all.ask("the node", func() (err error) { p.Node, err = v.Node(ctx); return err })
	var nodes wire.NodeList
	all.ask("the other nodes", func() (err error) {
		if nodes, err = v.Client.Nodes(ctx); fault.KindOf(err) == fault.Denied {
			return nil // who is there for one environment is not told of nodes
		}
		return err
	})
	all.ask("health", func() (err error) { p.Health, err = v.Client.Health(ctx); return err })
	all.ask("functions", func() (err error) { p.Functions, err = v.Client.Functions(ctx); return err })
	all.ask("instances", func() (err error) { p.Instances, err = v.Client.Instances(ctx, ""); return err })
	all.ask("topics", func() (err error) { p.Topics, err = c.measure(ctx, v); return err })
	all.ask("roll-outs", func() error {
		list, err := v.Client.Rollouts(ctx)
		for _, r := range list {
			if !r.Over() {
				p.Rollouts = append(p.Rollouts, r)
			}
		}
		return err
	})
	all.ask("runs", func() error {
		counts, err := v.RunCounts(ctx)
		p.Counted, p.Short = counts.Since, v.now.Sub(counts.Since) < recently-time.Minute
		p.Runs = byState(&counts)
		return err
	})
	if v.who.Environment == "" { // of the whole installation, and nothing for who is there for one environment
		all.ask("changes", func() (err error) { p.Changes, err = lately(ctx, v); return err })
		all.ask("alerts", func() error {
			list, err := v.Alerts(ctx)
			for _, a := range list {
				if a.State == function.AlertFiring {
					p.Alerts = append(p.Alerts, a)
				}
			}
			return err
		})
	}
	var err error
	if p.Problems, err = all.wait(); err != nil {
		return frame{}, err
	}
	for _, f := range p.Functions {
		p.Lag += f.Lag
		p.LagPartial = p.LagPartial || f.LagPartial
	}
	for _, h := range p.Health.Functions {
		if h.Grade != "healthy" {
			p.Ill = append(p.Ill, h)
		}
	}
	for _, i := range p.Instances.Instances {
		p.States[i.State]++
	}
	p.Running = len(p.Instances.Instances)
	if len(nodes.Nodes) > 1 {
		p.Nodes = nodes.Nodes[:min(len(nodes.Nodes), maxRows)]
		for _, n := range nodes.Nodes[1:] { // behind this one
			p.Running += n.Instances
		}
	}
	for _, t := range p.Topics {
		if t.Rate == nil {
			continue
		}
		if p.Rate == nil {
			p.Rate = new(float64)
		}
		*p.Rate += *t.Rate
	}
	p.Topics, p.MoreTopics = busiest(p.Topics)
	return frame{Page: "overview", Title: "Overview", Nav: "overview", Live: true, Body: p}, nil
}

// topicsShown are as many topics as the overview has room for.
const topicsShown = 8

// busiest are the topics that take most, then those that hold most; left is how many others there are. Those that are shown stand by their name.
func busiest(all []topicRate) (shown []topicRate, left int) {
	if len(all) <= topicsShown {
		return all, 0
	}
	rate := func(t topicRate) float64 {
		if t.Rate == nil {
			return 0
		}
		return *t.Rate
	}
	slices.SortStableFunc(all, func(a, b topicRate) int {
		return cmp.Or(cmp.Compare(rate(b), rate(a)), cmp.Compare(b.Held, a.Held))
	})
	shown = all[:topicsShown]
	slices.SortFunc(shown, func(a, b topicRate) int { return cmp.Compare(a.Name, b.Name) })
	return shown, len(all) - topicsShown
}

// byState are the runs of all triggers together.
func byState(counts *wire.RunCounts) []stateCount {
	var all []stateCount
	for _, state := range runStates() {
		n := counts.Others[state]
		for _, t := range counts.Triggers {
			n += t.Runs[state]
		}
		all = append(all, stateCount{state, n})
	}
	return all
}

// runStates are the states of runs, those first that somebody should look at.
func runStates() []function.RunState {
	return []function.RunState{function.RunDead, function.RunRetrying, function.RunSucceeded, function.RunDiscarded, function.RunExpired}
}

// together asks several things at a time. What one of them could not find out is said on the page, which shows the rest.
type together struct {
	wg sync.WaitGroup

	mu       sync.Mutex
	problems []string
	ended    error // the token has
}

func (t *together) ask(what string, ask func() error) {
	t.wg.Go(func() {
		err := ask()
		if err == nil {
			return
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		if fault.KindOf(err) == fault.Unauthenticated {
			t.ended = err
		}
		t.problems = append(t.problems, fmt.Sprintf("%s: %v", what, err))
	})
}

// wait returns what could not be found out; an error is that of a token which has ended.
func (t *together) wait() ([]string, error) {
	t.wg.Wait()
	return t.problems, t.ended
}

// measure is how many events each topic that is not dalamb's own takes.
func (c *Console) measure(ctx context.Context, v *visit) ([]topicRate, error) {
	list, err := v.Client.Topics(ctx)
	if err != nil {
		return nil, err
	}
	var all []topicRate
	for _, t := range list {
		if t.System || len(all) == maxRows {
			continue
		}
		whole, err := v.Client.Topic(ctx, t.Name)
		if fault.KindOf(err) == fault.NotFound {
			continue // it went in between
		}
		if err != nil {
			return nil, err
		}
		one := topicRate{Name: t.Name}
		var ends int64
		for _, p := range whole.Bounds {
			one.Held += p.End - p.Start
			ends += p.End
		}
		one.Rate, one.Line = c.rates.look(whole.ID, v.now, ends)
		all = append(all, one)
	}
	return all, nil
}
