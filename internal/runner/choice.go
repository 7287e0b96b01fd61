package runner

import (
	"context"
	"errors"
	"fmt"

	"github.com/dalamb/dalamb/internal/fault"
)

// ChoiceOptions say which runners there are beside a node's own.
type ChoiceOptions struct {
	Names []string                          // that a Spec may ask for
	Open  func(name string) (Runner, error) // called when one is asked for first
	Left  func(name string) bool            // an earlier node has used it, and may have left something
	Tell  func(r Runner, a Ability)         // of one that was opened and checked; nil = nobody wants to know
}

// Choice gives each Spec the runner that it names, and those that name none the node's own. The others are opened when they are first
// asked for: a machine need not have what no function wants.
type Choice struct {
	Runner // the node's own

	options ChoiceOptions
	others  map[string]chan *checked // each holds one, nil until it is open; who has taken it opens it
}

type checked struct {
	Runner
	ability Ability
}

// NewChoice makes a Choice. It opens nothing.
func NewChoice(own Runner, o ChoiceOptions) *Choice {
	c := &Choice{Runner: own, options: o, others: map[string]chan *checked{}}
	for _, name := range o.Names {
		if name != own.Name() {
			c.others[name] = make(chan *checked, 1)
			c.others[name] <- nil
		}
	}
	return c
}

// Ability checks the runner of a name, or says why it cannot be had here.
func (c *Choice) Ability(ctx context.Context, name string) (Ability, error) {
	r, err := c.other(ctx, name)
	if err != nil {
		return Ability{}, err
	}
	return r.ability, nil
}

// other gives the runner of a name, opened and checked. What fails is tried again the next time.
func (c *Choice) other(ctx context.Context, name string) (*checked, error) {
	turn, known := c.others[name]
	if !known {
		return nil, fault.New(fault.Invalid, "there is no runner %q", name).WithHint("those that a function may ask for: %v", c.options.Names)
	}
	r, err := take(ctx, turn)
	if err != nil {
		return nil, err
	}
	defer func() { turn <- r }()
	if r != nil {
		return r, nil
	}
	opened, err := c.options.Open(name)
	if err != nil {
		return nil, err
	}
	ability, err := opened.Check(ctx)
	if err != nil {
		return nil, errors.Join(err, opened.Close())
	}
	if c.options.Tell != nil {
		c.options.Tell(opened, ability)
	}
	r = &checked{opened, ability}
	return r, nil
}

func take(ctx context.Context, turn chan *checked) (*checked, error) {
	select {
	case r := <-turn:
		return r, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Start implements Runner.
func (c *Choice) Start(ctx context.Context, s Spec) (Sandbox, error) {
	if s.Runner == "" || s.Runner == c.Name() {
		return c.Runner.Start(ctx, s)
	}
	r, err := c.other(ctx, s.Runner)
	if err != nil {
		return nil, fmt.Errorf("start sandbox %s of function %s: %w", s.ID, s.Function, err)
	}
	return r.Start(ctx, s)
}

// Recover implements Runner, for all that an earlier node has used.
func (c *Choice) Recover(ctx context.Context) (int, error) {
	n, err := c.Runner.Recover(ctx)
	for _, name := range c.options.Names {
		if err != nil {
			break
		}
		if _, other := c.others[name]; other && c.options.Left(name) {
			var more int
			more, err = c.recover(ctx, name)
			n += more
		}
	}
	return n, err
}

// recover does it without a Check: what was left is taken away, too, where the runner cannot be had any more.
func (c *Choice) recover(ctx context.Context, name string) (int, error) {
	r, err := c.options.Open(name)
	if err != nil {
		return 0, err
	}
	n, err := r.Recover(ctx)
	return n, errors.Join(err, r.Close())
}

// Companions implements Accompanied.
func (c *Choice) Companions() bool {
	a, ok := c.Runner.(Accompanied)
	return ok && a.Companions()
}

// Close implements Runner.
func (c *Choice) Close() error {
	errs := []error{c.Runner.Close()}
	for _, name := range c.options.Names {
		if turn, other := c.others[name]; other {
			if r := <-turn; r != nil {
				errs = append(errs, r.Close())
			}
			turn <- nil
		}
	}
	return errors.Join(errs...)
}
