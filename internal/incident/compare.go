package incident

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/dalamb/dalamb/internal/bundle"
	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
)

// recordPatience is how long the record of a request may take to come to the log: it is written alongside.
const recordPatience = 5 * time.Second

// compare takes what came of each source event out of this node in the form in which the bundle has it, and holds one against the other.
func (r *run) compare(ctx context.Context) error {
	var after bundle.Bundle
	pairs := map[string]string{}
	for i := range r.out.Sent {
		s := &r.out.Sent[i]
		id := cmp.Or(r.traces[i], s.Here)
		if s.Why != "" || id == "" {
			continue
		}
		one, err := r.took(ctx, id)
		if fault.KindOf(err) == fault.NotFound {
			s.Why = "nothing of it is in the log: it was refused before any function had it"
			continue
		}
		if err != nil {
			return fmt.Errorf("look what came of %s: %w", fault.Clip(s.ID), err)
		}
		if len(one.Manifest.Sources) > 0 {
			s.Here = one.Manifest.Sources[0]
		}
		pairs[s.ID] = s.Here
		after.Events = append(after.Events, one.Events...)
		after.Runs = append(after.Runs, one.Runs...)
	}
	var err error
	r.out.Report, err = bundle.Compare(&r.Bundle.Bundle, &after, pairs)
	return err
}

// took exports what came of an event here.
func (r *run) took(ctx context.Context, id string) (*bundle.Bundle, error) {
	until := time.Now().Add(recordPatience)
	for {
		one, err := r.export(ctx, id)
		if fault.KindOf(err) != fault.NotFound || time.Now().After(until) {
			return one, err
		}
		timer := time.NewTimer(r.Glance)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		}
	}
}

func (r *run) export(ctx context.Context, id string) (_ *bundle.Bundle, err error) {
	f, err := os.CreateTemp(r.Dir, "outcome-*.tar")
	if err != nil {
		return nil, fmt.Errorf("make a file for the outcome: %w", err)
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	if err := errors.Join(r.Node.Export(ctx, client.Export{ID: id}, f), f.Close()); err != nil {
		return nil, err
	}
	opened, err := bundle.Open(f.Name())
	if err != nil {
		return nil, err
	}
	return &opened.Bundle, opened.Close()
}
