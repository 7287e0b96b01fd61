package copier

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

const (
	lookEvery     = 10 * time.Second // at the topics, which may grow or go
	leavePatience = 5 * time.Second
)

// attempt is one membership in a copy's group, and what is done in it.
type attempt struct {
	*Copier
	copy   *catalog.Copy
	target eventlog.Log
	member eventlog.Member // set before there are partitions
	ended  chan error      // of partitions: nil at the end of the copy

	mu      sync.Mutex
	workers map[int32]*work
}

// once carries a copy out until it is over; nil means that all is copied. After an error of which it is not known whether its last
// commit is stored the next membership finds out: nothing of this one comes once that has its partitions.
func (c *Copier) once(ctx context.Context, one *catalog.Copy) error {
	target, release, err := c.reach(one.Log)
	if err != nil {
		return err
	}
	defer release()
	a := &attempt{Copier: c, copy: one, target: target, ended: make(chan error), workers: map[int32]*work{}}
	if err := a.look(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// One group for all that copy the same, whichever copy's: a log tells its members apart.
	m, err := target.Join(ctx, eventlog.JoinOptions{
		Group:    "dalamb.copy." + one.FromID + "." + one.To,
		Assigned: func(_ context.Context, ps []eventlog.Partition) { a.take(ctx, ps) },
		Revoked:  func(_ context.Context, ps []eventlog.Partition) { a.drop(ps) },
		Lost:     a.drop,
	})
	if err != nil {
		return fmt.Errorf("join the group of the copy: %w", err)
	}
	a.member = m
	defer func() {
		cancel()
		leaving, done := context.WithTimeout(context.WithoutCancel(ctx), leavePatience)
		defer done()
		if err := m.Leave(leaving); err != nil {
			c.logger.Warn("leave the group of a copy", "copy", one.Name, "err", err)
		}
		a.drop(nil)
	}()
	if err := m.SetTopics(ctx, []string{one.To}); err != nil {
		return fmt.Errorf("ask for the partitions of %s: %w", one.To, err)
	}
	return a.await(ctx)
}

// await returns when all partitions are copied, or one cannot be.
func (a *attempt) await(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		// Another owner, whom this node has followed, may have done some of it.
		if done, err := a.complete(ctx); done || err != nil {
			return err
		}
		select {
		case err := <-a.ended:
			if err != nil {
				return err
			}
		case <-tick.C:
			if err := a.look(ctx); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// complete says whether nothing is left to do.
func (a *attempt) complete(ctx context.Context) (bool, error) {
	if a.copy.Follow {
		return false, nil
	}
	known, err := recall(ctx, a.target, &a.copy.Copy)
	if err != nil {
		return false, err
	}
	for id, end := range a.copy.End {
		if known[id].Next < end {
			return false, nil
		}
	}
	return true, nil
}

// look checks that both topics are those that the copy began with, and lets the second grow with the first.
func (a *attempt) look(ctx context.Context) error {
	from, err := findTopic(ctx, a.log, a.copy.From)
	if err != nil {
		return err
	}
	if err := apart(ctx, a.target, from, a.copy.Copy); err != nil {
		return there(a.copy.Log, err)
	}
	to, err := findTopic(ctx, a.target, a.copy.To)
	switch {
	case err != nil:
		return err
	case from.ID != a.copy.FromID:
		return fault.New(fault.NotFound, "topic %q has been deleted; the one of that name is another", from.Name)
	case to.ID != a.copy.ToID:
		return fault.New(fault.NotFound, "topic %q there has been deleted; the one of that name is another", to.Name)
	case !a.copy.Follow || from.Partitions <= to.Partitions:
		return nil
	}
	if err := eventlog.Widen(ctx, a.target, function.AsWide(), from.Partitions); err != nil {
		return err
	}
	if err := a.target.AlterTopic(ctx, to.Name, eventlog.TopicChange{Partitions: &from.Partitions}); err != nil {
		return fmt.Errorf("widen topic %s: %w", to.Name, err)
	}
	return nil
}

func (a *attempt) take(ctx context.Context, ps []eventlog.Partition) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range ps {
		ctx, cancel := context.WithCancel(ctx)
		w := &work{cancel: cancel, done: make(chan struct{})}
		a.workers[p.ID] = w
		go func() {
			defer close(w.done)
			err := a.partition(ctx, p.ID)
			if errors.Is(err, context.Canceled) {
				return
			}
			select {
			case a.ended <- err:
			case <-ctx.Done():
			}
		}()
	}
}

// drop ends the work on partitions; nil = all.
func (a *attempt) drop(ps []eventlog.Partition) {
	a.mu.Lock()
	var over []*work
	for id, w := range a.workers {
		gone := ps == nil
		for _, p := range ps {
			gone = gone || p.ID == id
		}
		if gone {
			over = append(over, w)
			delete(a.workers, id)
		}
	}
	a.mu.Unlock()
	for _, w := range over {
		w.cancel()
	}
	for _, w := range over {
		<-w.done
	}
}
