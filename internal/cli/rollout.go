package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// rolloutGlance is how often deploy looks how far a roll-out is.
const rolloutGlance = 100 * time.Millisecond

func rolloutCommand(env *environment) *cobra.Command {
	c := &cobra.Command{
		Use: "rollout", Short: "Follow and steer roll-outs of new versions",
		Long: `Follow and steer roll-outs: how the traffic of a function moves to a new version, step by step, and back when that version does not hold
its gates. dalamb deploy starts one where the manifest says rollout:, or with --strategy; it goes on by itself, also after a restart.`,
		Args: cobra.NoArgs,
	}
	c.AddCommand(rolloutList(env))
	for _, verb := range []struct {
		name, short, long string
		call              func(*client.Client, context.Context, string, string) (wire.Rollout, error)
		moves             string // all the traffic, to where: it is asked for
	}{
		{"show", "Show a roll-out: how far it is, and the figures that it is judged by", "Show the roll-out of a function that is under way, else the newest: how far it is, and by which figures each step was judged.", (*client.Client).Rollout, ""},
		{"pause", "Take no more steps; the gates are judged all the same", "Take no more steps: the traffic stays divided as it is. The gates are judged all the same.", (*client.Client).PauseRollout, ""},
		{"resume", "Let a paused roll-out go on", "Let a paused roll-out go on: the step that it is in begins anew.", (*client.Client).ResumeRollout, ""},
		{"abort", "Give the traffic back to the old version", "End a roll-out and give all the traffic back to the old version, at once.", (*client.Client).AbortRollout, "old"},
		{"promote", "Give all the traffic to the new version, without further steps", "End a roll-out and give all the traffic to the new version, at once and for good, whatever its gates say.", (*client.Client).PromoteRollout, "new"},
	} {
		var out output
		var alias string
		var yes bool
		sub := &cobra.Command{
			Use: verb.name + " FUNCTION[:ALIAS]", Short: verb.short, Long: verb.long, Args: cobra.ExactArgs(1),
			RunE: func(c *cobra.Command, args []string) error {
				fn, alias, err := aliasFlag(c, args[0], alias)
				if err != nil {
					return err
				}
				ask := func(node *client.Client) (r wire.Rollout, err error) {
					if verb.moves != "" && !yes {
						if err := confirmRollout(c, node, fn, alias, verb.moves); err != nil {
							return r, err
						}
					}
					return verb.call(node, c.Context(), fn, alias)
				}
				return inquiry[wire.Rollout]{ask, printRollout}.run(c, env, &out)
			},
		}
		sub.Flags().StringVar(&alias, "alias", function.LiveAlias, "the alias that is rolled out, as in FUNCTION:ALIAS")
		if verb.moves != "" {
			sub.Use += " [--yes]"
			sub.Flags().BoolVar(&yes, "yes", false, "do it without asking")
		}
		out.flag(sub)
		c.AddCommand(sub)
	}
	return c
}

// confirmRollout says where a roll-out stands and asks whether all the traffic goes to one of its versions. One that is over the node refuses.
func confirmRollout(c *cobra.Command, node *client.Client, fn, alias, to string) error {
	r, err := node.Rollout(c.Context(), fn, alias)
	if err != nil || r.Over() {
		return err
	}
	fmt.Fprintf(c.ErrOrStderr(), "%s: %s\n", fn, stateOf(&r))
	return confirm(c, fmt.Sprintf("give all the traffic of %s of %s to the %s version", alias, fn, to))
}

func rolloutList(env *environment) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use: "ls", Short: "List roll-outs, the newest first", Long: "List roll-outs, the newest first: those under way, and of each function the last twenty that are over.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			node, err := env.client()
			if err != nil {
				return err
			}
			all, err := node.Rollouts(c.Context())
			if err != nil {
				return err
			}
			all = ofEnvironment(env, all, func(r *wire.Rollout) string { return r.Function })
			return out.print(c.OutOrStdout(), all, func(w io.Writer) {
				if len(all) == 0 {
					fmt.Fprintln(c.ErrOrStderr(), "no roll-outs; rollout: in a manifest, or dalamb deploy --strategy, makes one of a deploy")
					return
				}
				var rows []row
				for i := range all {
					o := &all[i]
					r := cells(o.Function, o.Alias, versionsOf(o), string(o.Strategy), string(o.State), strconv.Itoa(o.Weight)+"%", stamp(o.Started))
					if why := whyEnded(o); why != "" {
						r.notes = []string{why}
					}
					rows = append(rows, r)
				}
				table(w, []string{"FUNCTION", "ALIAS", "VERSIONS", "STRATEGY", "STATE", "NEW", "STARTED"}, rows)
			})
		},
	}
	out.flag(c)
	return c
}

// versionsOf is from where to where a roll-out goes.
func versionsOf(r *wire.Rollout) string {
	if r.From == 0 {
		return fmt.Sprintf("-> %d", r.To)
	}
	return fmt.Sprintf("%d -> %d", r.From, r.To)
}

// whyEnded is the reason of an end, with the gate that did not hold.
func whyEnded(r *wire.Rollout) string {
	if r.Gate != "" {
		return fmt.Sprintf("gate %s: %s", r.Gate, r.Reason)
	}
	return r.Reason
}

// stateOf says in a line where a roll-out stands.
func stateOf(r *wire.Rollout) string {
	switch {
	case r.Over():
		return fmt.Sprintf("%s at %s", r.State, stamp(r.Ended))
	case r.State == function.RolloutQueued:
		return "queued until the one before it has ended"
	case r.Step == 0:
		return fmt.Sprintf("%s: version %d is made ready, no traffic has moved", r.State, r.To)
	}
	gets := fmt.Sprintf("%d%%", r.Weight)
	if r.Shadowing(r.Step) {
		gets = "copies of " + r.Shadow.Sample.String()
	}
	switch {
	case r.Next.IsZero():
		return fmt.Sprintf("%s: version %d gets %s", r.State, r.To, gets)
	case r.TooFewIn(r.Step) == function.TooFewWait && r.Next.Before(time.Now()) && tooFew(r, &r.Taken[len(r.Taken)-1]) != "":
		return fmt.Sprintf("%s: version %d gets %s, until it can be judged", r.State, r.To, gets)
	}
	return fmt.Sprintf("%s: version %d gets %s, until %s", r.State, r.To, gets, stamp(r.Next))
}

// awaitRollouts follows what a deploy has started until all of it is over, and says each step to w. The error is of those that were
// rolled back.
func awaitRollouts(ctx context.Context, node *client.Client, done []wire.Deployed, w io.Writer) error {
	var failed []string
	hint := ""
	for _, d := range done {
		if d.Rollout == 0 {
			continue
		}
		r, err := followRollout(ctx, node, d, w)
		if ctx.Err() != nil {
			return interruptedRollouts(done)
		}
		if err != nil {
			return fmt.Errorf("follow the roll-out of %s, which goes on: %w", d.Function, err)
		}
		switch r.State {
		case function.RolloutSucceeded:
		case function.RolloutPaused:
			failed = append(failed, fmt.Sprintf("the roll-out of %s to version %d is paused, and may stay so for ever", d.Function, d.Version))
			hint = fmt.Sprintf("dalamb rollout resume, promote or abort %s", d.Function)
		default:
			failed = append(failed, fmt.Sprintf("the roll-out of %s to version %d was %s: %s", d.Function, d.Version, ending(&r), whyEnded(&r)))
			hint = fmt.Sprintf("dalamb rollout show %s tells the figures", d.Function)
		}
	}
	if failed == nil {
		return nil
	}
	return fault.New(fault.Conflict, "%s", strings.Join(failed, "; ")).WithHint("%s", hint)
}

// interruptedRollouts says to who does not wait any more that the roll-outs do not need him. It is no context's error, of which nothing is said but that.
func interruptedRollouts(done []wire.Deployed) error {
	var fns []string
	alias := ""
	for _, d := range done {
		if d.Rollout == 0 {
			continue
		}
		fns = append(fns, d.Function)
		if d.Alias != function.LiveAlias {
			alias = " --alias " + d.Alias
		}
	}
	return fault.New(fault.Unavailable, "interrupted; roll-outs that are not over go on by themselves: %s", names(fns)).
		WithHint("dalamb rollout show %[1]s%[2]s tells how far it is, dalamb rollout abort %[1]s%[2]s takes the traffic back", fns[len(fns)-1], alias)
}

// ending is what became of a roll-out that has not succeeded.
func ending(r *wire.Rollout) string {
	switch {
	case r.State != function.RolloutFailed:
		return string(r.State)
	case len(r.Taken) == 0, len(r.Taken) == 1 && r.Shadowing(1):
		return "refused before any traffic moved"
	}
	return "rolled back"
}

// followRollout says the steps of one roll-out until it is over, or somebody has paused it.
func followRollout(ctx context.Context, node *client.Client, d wire.Deployed, w io.Writer) (wire.Rollout, error) {
	tick := time.NewTicker(rolloutGlance)
	defer tick.Stop()
	told, steps := "", 0
	for {
		r, err := node.RolloutByID(ctx, d.Function, d.Rollout)
		if err != nil {
			return r, err
		}
		for ; steps < len(r.Taken) && (steps < len(r.Taken)-1 || r.State == function.RolloutSucceeded); steps++ {
			if few := tooFew(&r, &r.Taken[steps]); few != "" {
				fmt.Fprintf(w, "%s: %s in step %d, which counts as held\n", d.Function, few, steps+1)
			}
		}
		if now := stateOf(&r); now != told {
			fmt.Fprintf(w, "%s: %s\n", d.Function, now)
			told = now
		}
		if r.Over() || r.State == function.RolloutPaused {
			return r, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return r, ctx.Err()
		}
	}
}

// setStrategy takes --strategy for all functions of a manifest.
func setStrategy(m *function.Manifest, strategy string) error {
	if strategy == "" {
		return nil
	}
	s := function.Strategy(strategy)
	if !slices.Contains(function.Strategies(), s) {
		return fault.New(fault.Invalid, "--strategy %s is not known", strategy).WithHint("known: %s", strings.Join(strategyNames(), ", "))
	}
	for i := range m.Functions {
		spec := &m.Functions[i].Spec
		spec.Rollout = spec.Rollout.As(s)
	}
	return nil
}

func strategyNames() []string {
	var names []string
	for _, s := range function.Strategies() {
		names = append(names, string(s))
	}
	return names
}
