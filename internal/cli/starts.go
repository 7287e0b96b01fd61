package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

const (
	startsGlance = 100 * time.Millisecond
	// startsMost is how long a command waits for instances that are started: one has 10 seconds to become ready.
	startsMost = 15 * time.Second
)

// expected are the instances that a change starts. The command that made the change waits for them, so that who called it is told when
// they do not start. They are started when it has ended, too.
type expected struct {
	node    *client.Client
	warn    io.Writer
	settled func(list wire.InstanceList, name string) bool // a function's instances are there
}

// renewals are the instances of functions whose values have changed.
func renewals(node *client.Client, warn io.Writer) expected {
	return expected{node, warn, func(list wire.InstanceList, name string) bool {
		return !slices.ContainsFunc(list.Instances, func(i wire.Instance) bool { return i.Function == name && i.Outdated })
	}}
}

// landed is what a command has deployed: functions, and what became of them.
type landed struct {
	functions []function.Spec
	done      []wire.Deployed
}

// firsts are the first instances of versions that keep some, and the functions that have such.
func firsts(node *client.Client, warn io.Writer, of landed) (expected, []string) {
	versions := map[string]int{}
	var names []string
	for _, d := range of.done {
		keeps := slices.ContainsFunc(of.functions, func(f function.Spec) bool { return f.Name == d.Function && f.Scale.Min > 0 })
		if keeps && d.Created && d.Rollout == 0 && d.Alias == function.LiveAlias {
			versions[d.Function] = d.Version
			names = append(names, d.Function)
		}
	}
	return expected{node, warn, func(list wire.InstanceList, name string) bool {
		return slices.ContainsFunc(list.Instances, func(i wire.Instance) bool {
			return i.Function == name && i.Version == versions[name] && !i.Started.IsZero() && i.State != "starting"
		})
	}}, names
}

// await waits, not for ever, until the instances of all functions are there or are known not to start.
func (e *expected) await(ctx context.Context, left []string) error {
	if len(left) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, startsMost)
	defer cancel()
	tick := time.NewTicker(startsGlance)
	defer tick.Stop()
	for {
		list, err := e.node.Instances(ctx, "")
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("look at the instances that are started: %w", err)
		}
		if err == nil {
			left = slices.DeleteFunc(left, func(name string) bool { return e.over(list, name) })
		}
		if len(left) == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			if ctx.Err() == context.DeadlineExceeded {
				fmt.Fprintf(e.warn, "the instances of %s still start; dalamb ps tells how far that is\n", names(left))
				return nil
			}
			return ctx.Err()
		}
	}
}

// over says whether nothing is left to wait for, and warns of what does not start.
func (e *expected) over(list wire.InstanceList, name string) bool {
	bad := slices.DeleteFunc(slices.Clone(list.Troubles), func(t wire.Trouble) bool {
		return t.Function != name || t.Kind != "values" && t.Kind != "start"
	})
	warnOfTroubles(e.warn, bad, time.Now())
	return len(bad) > 0 || e.settled(list, name)
}
