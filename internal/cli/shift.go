package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

func shiftCommand(env *environment) *cobra.Command {
	var ask question
	c := &cobra.Command{
		Use:   "shift FUNCTION ALIAS=VERSION[:PERCENT][,...] [--yes]",
		Short: "Point an alias at versions",
		Long: `Point an alias at a version, or at several of which each runs a share of the invocations. An alias that is not there comes to be.

A version without a share has what the others leave, and is the alias's primary: triggers, routes and schedules of live are its, the
shares only decide what runs an invocation. Where every version has a share, they sum to 100, and the primary stays who it is while
it is among them; else it is the one with the largest share.

Events of one key meet one version, and so do requests of one client where the route names a cookie or a header (sticky). A version
whose share grows keeps the keys that it had. A version with a share of 0 is kept ready (scale.min) and runs nothing.

What it would change is said first, and asked for; --yes answers. Nothing is changed when somebody else changes the function in between.`,
		Example: "  dalamb shift pay live=3,4:10\n  dalamb shift pay live=4:10,3:90 --yes\n  dalamb shift pay live=4 --yes\n  dalamb shift pay preview/feature-x=5 --yes",
		Args:    cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			alias, shares, err := parseShares(args[1])
			if err != nil {
				return usageError{c.CommandPath(), err}
			}
			return ask.run(c, env, func(ctx context.Context, node *client.Client, q asked) (wire.Shifted, error) {
				return node.Shift(ctx, args[0], alias, wire.ShiftRequest{Shares: shares, DryRun: q.dry, Expects: q.expects})
			})
		},
	}
	ask.flags(c)
	return c
}

func rollbackCommand(env *environment) *cobra.Command {
	var ask question
	req := wire.RollbackRequest{}
	c := &cobra.Command{
		Use:   "rollback FUNCTION[:ALIAS] [--to VERSION] [--yes]",
		Short: "Point an alias at the version that it was at before",
		Long: `Point an alias, live by default, at the version that it was at before. While it has several, that is its primary alone: a canary is
over, and a roll-out ends. Else it is the primary that it had before this one; again, the one before that, and never one that it was
brought back from. --to chooses any version.

Triggers, routes and schedules go with it: those that the older version does not have are removed with their progress, which is said
first, and asked for; --yes answers. Runs that wait for a retry go on with the older version.`,
		Example: "  dalamb rollback pay --yes\n  dalamb rollback pay --to 3 --yes\n  dalamb rollback pay:preview/x --yes",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if c.Flags().Changed("to") && req.To < 1 {
				return usageError{c.CommandPath(), fmt.Errorf("--to: %d is no version", req.To)}
			}
			fn, alias, err := aliasFlag(c, args[0], req.Alias)
			if err != nil {
				return err
			}
			req.Alias = alias
			return ask.run(c, env, func(ctx context.Context, node *client.Client, q asked) (wire.Shifted, error) {
				req.DryRun, req.Expects = q.dry, q.expects
				return node.Rollback(ctx, fn, req)
			})
		},
	}
	c.Flags().IntVar(&req.To, "to", 0, "the version to go back to (default: the one before)")
	c.Flags().StringVar(&req.Alias, "alias", function.LiveAlias, "the alias to take back, as in FUNCTION:ALIAS")
	ask.flags(c)
	return c
}

// question is a shift that is said before it is done.
type question struct {
	out         output
	yes, dryRun bool
}

type asked struct {
	dry     bool
	expects *int64
}

func (q *question) flags(c *cobra.Command) {
	c.Flags().BoolVar(&q.yes, "yes", false, "do it without asking")
	c.Flags().BoolVar(&q.dryRun, "dry-run", false, "only say what it would do")
	q.out.flag(c)
}

// run says what a shift would do, asks, and does it, unless the function was changed since it was said.
func (q *question) run(c *cobra.Command, env *environment, shift func(context.Context, *client.Client, asked) (wire.Shifted, error)) error {
	asJSON, err := q.out.json()
	if err != nil {
		return err
	}
	node, err := env.client()
	if err != nil {
		return err
	}
	var expects *int64
	if !q.yes || q.dryRun {
		would, err := shift(c.Context(), node, asked{dry: true})
		if err != nil {
			return err
		}
		if q.dryRun {
			return q.out.print(c.OutOrStdout(), would, func(w io.Writer) { printShift(w, &would) })
		}
		if !asJSON {
			printShift(c.OutOrStdout(), &would)
		}
		if err := confirm(c, fmt.Sprintf("shift %s of %s to %s", would.Alias, would.Function, sharesText(would.To))); err != nil {
			return err
		}
		expects = &would.Expects
	}
	done, err := shift(c.Context(), node, asked{expects: expects})
	if err != nil {
		return err
	}
	return q.out.print(c.OutOrStdout(), done, func(w io.Writer) {
		if q.yes {
			printShift(w, &done)
		}
		fmt.Fprintf(w, "shifted %s of %s\n", done.Alias, done.Function)
	})
}

func printShift(w io.Writer, s *wire.Shifted) {
	from := "nothing"
	if len(s.From) > 0 {
		from = "version " + sharesText(s.From)
	}
	fmt.Fprintf(w, "%s of %s: %s -> version %s\n", s.Alias, s.Function, from, sharesText(s.To))
	if len(s.Added) > 0 {
		fmt.Fprintf(w, "  triggers that come: %s\n", strings.Join(s.Added, ", "))
	}
	for _, t := range s.Removed {
		fmt.Fprintf(w, "  trigger %s goes away; %s that wait for it: they end as discarded\n", t.Trigger, count(t.Waiting, "event"))
	}
	for _, warning := range s.Warnings {
		fmt.Fprintf(w, "  warning: %s\n", warning)
	}
}

// parseShares reads ALIAS=VERSION[:PERCENT],...
func parseShares(text string) (alias string, shares []wire.Share, err error) {
	alias, list, ok := strings.Cut(text, "=")
	if !ok || alias == "" || list == "" {
		return "", nil, fmt.Errorf("%q is not ALIAS=VERSION, such as live=4 or live=3,4:10", text)
	}
	for part := range strings.SplitSeq(list, ",") {
		number, percent, weighted := strings.Cut(part, ":")
		s := wire.Share{}
		if s.Version, err = strconv.Atoi(number); err != nil || s.Version < 1 {
			return "", nil, fmt.Errorf("%q in %q is no version: a number from 1", number, text)
		}
		if weighted {
			n, err := strconv.Atoi(strings.TrimSuffix(percent, "%"))
			if err != nil || n < 0 || n > 100 {
				return "", nil, fmt.Errorf("%q in %q is no share: whole percents from 0 to 100", percent, text)
			}
			s.Percent = &n
		}
		shares = append(shares, s)
	}
	return alias, shares, nil
}
