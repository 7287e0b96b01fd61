package git

import (
	"context"
	"fmt"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// follow tells of the roll-outs that the deploys have started, until all of them are over. One that does not succeed refuses the push: the
// branch stays where what is live came from. A newer push, or the client's end, ends the waiting and not the roll-outs.
func (p *push) follow(ctx context.Context, changes []*change) error {
	var rolled []*delivered
	for _, c := range changes {
		for _, f := range c.functions {
			if f.made.Rollout != 0 {
				rolled = append(rolled, f)
			}
		}
	}
	if rolled == nil {
		return nil
	}
	turns := p.server.turns
	turns.loosen(p.holder)
	for _, f := range rolled {
		if err := p.followOne(ctx, f); err != nil {
			return err
		}
	}
	if !turns.fix(p.holder) {
		return turns.reason(p.holder)
	}
	return nil
}

func (p *push) followOne(ctx context.Context, f *delivered) error {
	told := ""
	for {
		r, changed, err := p.server.deployer.Rollout(f.made.Function, f.made.Rollout)
		if err != nil {
			return fmt.Errorf("follow the roll-out of %s: %w", f.made.Function, err)
		}
		if r.Over() && r.State != function.RolloutSucceeded {
			why := r.Reason
			if r.Gate != "" {
				why = fmt.Sprintf("gate %s: %s", r.Gate, r.Reason)
			}
			return fault.New(fault.Conflict, "the roll-out of %s version %d %s: %s", f.made.Function, r.To, r.State, why).
				WithHint("dalamb rollout show %s has the figures", f.made.Function)
		}
		if line := fmt.Sprintf("  %-20s version %d (%s)  %s, %d %%", f.made.Function, r.To, r.Alias, r.State, r.Weight); line != told {
			told = line
			p.say("%s", line)
		}
		if r.Over() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
