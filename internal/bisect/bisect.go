package bisect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/replay"
	"github.com/dalamb/dalamb/internal/wire"
)

// Event is a captured event, and the trigger of the function that runs it again.
type Event struct {
	Trigger   string `json:"trigger"`
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
}

// Outcome is what came of the events on one version: what a check gets.
type Outcome struct {
	Function string                 `json:"function"`
	Version  int                    `json:"version"`
	Runs     []function.ReplayedRun `json:"runs"` // by topic, partition and offset of their events
}

// Check says what a version is by what came of the events on it.
type Check func(ctx context.Context, o *Outcome) (Verdict, error)

// Options of Run. All are required but where it says so.
type Options struct {
	Node      *client.Client
	Function  string
	Good, Bad int // versions
	Events    []Event
	Check     Check         // nil = good is what comes to the same as on Good
	Tell      func(Step)    // of each version that was tried; nil = nobody wants to know
	Name      string        // of the replays, which get the version and the trigger behind it
	Glance    time.Duration // between two looks at a replay; 0 = 100 ms
}

// Step is a version that was tried.
type Step struct {
	Version int     `json:"version"`
	Verdict Verdict `json:"verdict"`
	Why     string  `json:"why,omitempty"`
	Left    int     `json:"left"` // versions that are still to be told apart
}

// Found is the end of a search.
type Found struct {
	Function string            `json:"function"`
	Good     int               `json:"good"`              // the last that is
	Bad      function.Version  `json:"bad"`               // the first that is
	Between  []int             `json:"between,omitempty"` // between them, of which it cannot be told: the change may be theirs
	Gone     []int             `json:"gone,omitempty"`    // between those that were given, and removed since
	Steps    []Step            `json:"steps"`
	Diff     *wire.VersionDiff `json:"diff,omitempty"` // from Good to Bad
}

// run is one search.
type run struct {
	Options
	steps []Step
	left  int
	first *Outcome // on Good
}

// Run searches. Both ends are tried first: where the good one is not good, or the bad one not bad, there is nothing to find.
func Run(ctx context.Context, o Options) (*Found, error) {
	switch {
	case o.Node == nil || o.Function == "" || len(o.Events) == 0:
		return nil, errors.New("bisect needs a node, a function and events")
	case o.Good >= o.Bad:
		return nil, fault.New(fault.Invalid, "version %d is said to be good and version %d bad, and the good one has to be older", o.Good, o.Bad).
			WithHint("a search finds what broke something; for what mended it, give --check the other way round and exchange both")
	}
	if o.Glance == 0 {
		o.Glance = 100 * time.Millisecond
	}
	f, err := o.Node.Function(ctx, o.Function)
	if err != nil {
		return nil, err
	}
	versions, gone := among(f.Versions, o.Good, o.Bad)
	for _, n := range []int{o.Good, o.Bad} {
		if !slices.Contains(versions, n) {
			return nil, fault.New(fault.NotFound, "version %d of %s was removed", n, o.Function).WithHint("dalamb versions %s lists those that are kept", o.Function)
		}
	}
	r := &run{Options: o, left: len(versions) - 2}
	if err := r.ends(ctx); err != nil {
		return nil, err
	}
	found := &Found{Function: o.Function, Gone: gone}
	good, bad, between, err := search(ctx, versions, r.test)
	found.Steps = r.steps
	if err != nil {
		return nil, err
	}
	found.Good, found.Between = good, between
	for _, v := range f.Versions {
		if v.Number == bad {
			found.Bad = v
		}
	}
	diff, err := o.Node.Diff(ctx, o.Function, good, bad)
	if err != nil {
		return found, fmt.Errorf("compare versions %d and %d: %w", good, bad, err)
	}
	found.Diff = &diff
	return found, nil
}

// among are the versions from one to another, and those of them that are gone.
func among(all []function.Version, from, to int) (there, gone []int) {
	for n := from; n <= to; n++ {
		if slices.ContainsFunc(all, func(v function.Version) bool { return v.Number == n }) {
			there = append(there, n)
		} else {
			gone = append(gone, n)
		}
	}
	return there, gone
}

// ends tries both ends.
func (r *run) ends(ctx context.Context) error {
	v, err := r.test(ctx, r.Good)
	if err != nil {
		return err
	}
	if v != Good {
		return fault.New(fault.Invalid, "version %d of %s is said to be good, and is %s: %s", r.Good, r.Function, v, r.steps[0].Why).WithHint("name an older one, or look at the check")
	}
	if v, err = r.test(ctx, r.Bad); err != nil {
		return err
	}
	if v == Skip {
		why := cmp.Or(r.steps[len(r.steps)-1].Why, "the check says that it cannot be told")
		return fault.New(fault.Invalid, "version %d of %s is said to be bad, and does not let itself be judged: %s", r.Bad, r.Function, why).WithHint("name another one that is bad and runs")
	}
	if v != Bad {
		return fault.New(fault.Invalid, "version %d of %s is said to be bad, and is %s", r.Bad, r.Function, v).
			WithHint("what these events come to is the same on both: name others, or give a --check that tells them apart")
	}
	return nil
}

// test runs the events on a version and judges it.
func (r *run) test(ctx context.Context, version int) (Verdict, error) {
	s := Step{Version: version}
	o, err := r.outcome(ctx, version)
	switch {
	case err != nil && ctx.Err() != nil, err != nil && version == r.Good:
		return "", err
	case err != nil:
		s.Verdict, s.Why = Skip, err.Error()
	default:
		if version == r.Good {
			r.first = o
		}
		check := r.Check
		if check == nil {
			check = r.likeTheFirst(&s)
		}
		if s.Verdict, err = check(ctx, o); err != nil {
			return "", err
		}
	}
	if version != r.Good && version != r.Bad {
		r.left--
	}
	s.Left = r.left
	r.steps = append(r.steps, s)
	if r.Tell != nil {
		r.Tell(s)
	}
	return s.Verdict, nil
}

// likeTheFirst is the check where none was given: every run comes to what it came to on the good version.
func (r *run) likeTheFirst(s *Step) Check {
	return func(ctx context.Context, o *Outcome) (Verdict, error) {
		for i := range o.Runs {
			d, err := replay.Replayed(ctx, &r.first.Runs[i], &o.Runs[i])
			if err != nil {
				return "", err
			}
			if d.Kind != "" {
				s.Why = d.Kind
				if len(d.Changes) > 0 {
					s.Why += " at " + d.Changes[0].Path
				}
				return Bad, nil
			}
		}
		return Good, nil
	}
}

// outcome runs the events on a version: a replay for each trigger.
func (r *run) outcome(ctx context.Context, version int) (*Outcome, error) {
	out := &Outcome{Function: r.Function, Version: version, Runs: []function.ReplayedRun{}}
	byTrigger := map[string][]string{}
	var triggers []string
	for _, e := range r.Events {
		if byTrigger[e.Trigger] == nil {
			triggers = append(triggers, e.Trigger)
		}
		byTrigger[e.Trigger] = append(byTrigger[e.Trigger], fmt.Sprintf("%d@%d", e.Partition, e.Offset))
	}
	for i, trigger := range triggers {
		name := fmt.Sprintf("%s-%d-%d", r.Name, version, i)
		started, err := r.Node.StartReplay(ctx, wire.ReplayRequest{
			Name: name, Function: r.Function, Trigger: trigger, Events: byTrigger[trigger], Version: strconv.Itoa(version), Output: function.ReplayCapture,
		})
		if err != nil && ctx.Err() != nil {
			err = errors.Join(err, r.cancel(ctx, name)) // the node may have begun it
		}
		if err != nil {
			return nil, fmt.Errorf("run the events on version %d: %w", version, err)
		}
		if err := r.wait(ctx, started); err != nil {
			return nil, err
		}
		done, err := r.Node.ReplayedRuns(ctx, name)
		if err != nil {
			return nil, err
		}
		if want := len(byTrigger[trigger]); len(done.Runs) != want {
			return nil, fault.New(fault.NotFound, "%d of %d events of %s/%s ran on version %d: the log holds the others no more, or the trigger's filter does not match them", len(done.Runs), want, r.Function, trigger, version)
		}
		out.Runs = append(out.Runs, done.Runs...)
	}
	slices.SortFunc(out.Runs, func(a, b function.ReplayedRun) int {
		return strings.Compare(fmt.Sprintf("%s/%09d@%018d", a.Event.Topic, a.Event.Partition, a.Event.Offset)+a.Trigger, fmt.Sprintf("%s/%09d@%018d", b.Event.Topic, b.Event.Partition, b.Event.Offset)+b.Trigger)
	})
	return out, nil
}

// wait waits for the end of a replay; one that is given up is cancelled.
func (r *run) wait(ctx context.Context, one wire.Replay) error {
	tick := time.NewTicker(r.Glance)
	defer tick.Stop()
	for one.State == wire.ReplayRunning {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(ctx.Err(), r.cancel(ctx, one.Name))
		}
		now, err := r.Node.Replay(ctx, one.Name)
		if err != nil {
			return errors.Join(err, r.cancel(ctx, one.Name))
		}
		one = now
	}
	return nil
}

// cancel ends a replay, also where ctx is done. One that is not there needs no end.
func (r *run) cancel(ctx context.Context, name string) error {
	late, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer stop()
	_, err := r.Node.CancelReplay(late, name)
	if fault.KindOf(err) == fault.NotFound {
		return nil
	}
	return err
}
