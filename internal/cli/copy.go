package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// copyGlance is how often topic copy --wait looks whether the copy is over.
const copyGlance = 100 * time.Millisecond

func topicCopy(env *environment) *cobra.Command {
	var out output
	var req wire.CopyRequest
	var wait bool
	c := &cobra.Command{
		Use:   "copy FROM TO [--to-log kafka://HOST:PORT]",
		Short: "Copy a topic to another one, of the same log or of another",
		Long: `Copy the events of a topic to another topic, partition by partition: of the same log, or of another one with --to-log. Key, headers,
time and order stay, and each event is there once, whatever is killed on the way. A topic that is not there is made like the one that is
copied; one that is there needs the same number of partitions.

The copy goes on by itself, also after a restart; dalamb copy show NAME tells how far it is. It ends with the events that were there when it
began; with --follow it goes on with what comes, until it is cancelled. A copy of the same topics started again goes on where the one
before it stopped.

The address of the other log is one as for dalamb up --log. It is stored without a password: that is read where the address says, by the
node that copies.`,
		Example: `  dalamb topic copy events events --to-log kafka://kafka-1:9092,kafka-2:9092 --follow
  dalamb topic copy orders orders-2 --wait`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			if _, err := out.json(); err != nil {
				return err
			}
			if wait && req.Follow {
				return usageError{c.CommandPath(), fmt.Errorf("--wait and --follow: a copy that follows has no end")}
			}
			node, err := env.client()
			if err != nil {
				return err
			}
			req.From, req.To = args[0], args[1]
			one, err := node.StartCopy(c.Context(), req)
			if err == nil && wait {
				one, err = awaitCopy(c.Context(), node, one)
			}
			if err != nil {
				return err
			}
			return out.print(c.OutOrStdout(), one, func(w io.Writer) {
				if wait {
					printCopy(w, &one)
					return
				}
				fmt.Fprintf(w, "copying %s to %s as %s\ndalamb copy show %[3]s  tells how far it is\n", one.From, goal(&one), one.Name)
			})
		},
	}
	f := c.Flags()
	f.StringVar(&req.Log, "to-log", "", "address of the log to copy to, such as kafka://kafka-1:9092 (default: the node's own)")
	f.BoolVar(&req.Follow, "follow", false, "go on with what comes, until the copy is cancelled")
	f.StringVar(&req.Name, "as", "", "name of the copy (default: the topic's name and the time)")
	f.BoolVar(&wait, "wait", false, "wait for the end")
	out.flag(c)
	return c
}

func awaitCopy(ctx context.Context, node *client.Client, one wire.Copy) (wire.Copy, error) {
	tick := time.NewTicker(copyGlance)
	defer tick.Stop()
	for one.State == wire.CopyRunning {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return one, ctx.Err()
		}
		var err error
		if one, err = node.Copy(ctx, one.Name); err != nil {
			return one, err
		}
	}
	if one.State == function.CopyFailed {
		return one, fault.New(fault.Conflict, "copy %q has failed: %s", one.Name, one.Reason).
			WithHint("the same copy started again goes on where this one stopped")
	}
	return one, nil
}

// goal is where a copy goes.
func goal(c *wire.Copy) string {
	if c.Log == "" {
		return c.To
	}
	return c.To + " in " + c.Log
}

func copyCommand(env *environment) *cobra.Command {
	c := &cobra.Command{Use: "copy", Short: "List, show and end copies of topics; move triggers after them", Args: cobra.NoArgs}
	c.AddCommand(copyList(env), copyShow(env), copyCancel(env), copyPositions(env))
	return c
}

func copyList(env *environment) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use: "ls", Short: "List copies of topics, the newest first", Long: "List copies of topics, the newest first: those under way, and the last hundred that are over. With --env those from or to a topic of that environment.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			node, err := env.client()
			if err != nil {
				return err
			}
			all, err := node.Copies(c.Context())
			if err != nil {
				return err
			}
			if env.env != "" {
				all = slices.DeleteFunc(all, func(one wire.Copy) bool {
					return !function.Within(env.env, one.From) && !function.Within(env.env, one.To)
				})
			}
			return out.print(c.OutOrStdout(), all, func(w io.Writer) {
				if len(all) == 0 {
					fmt.Fprintln(c.ErrOrStderr(), "no copies; dalamb topic copy FROM TO starts one")
					return
				}
				var rows []row
				for _, one := range all {
					state := one.State
					if one.Follow && state == wire.CopyRunning {
						state = "following"
					}
					r := cells(one.Name, one.From, goal(&one), state, stamp(one.Started))
					if one.Reason != "" {
						r.notes = []string{one.Reason}
					}
					rows = append(rows, r)
				}
				table(w, []string{"COPY", "FROM", "TO", "STATE", "STARTED"}, rows)
			})
		},
	}
	out.flag(c)
	return c
}

func copyShow(env *environment) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use: "show NAME", Short: "Show how far a copy is", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return inquiry[wire.Copy]{func(node *client.Client) (wire.Copy, error) { return node.Copy(c.Context(), args[0]) }, printCopy}.run(c, env, &out)
		},
	}
	out.flag(c)
	return c
}

func copyCancel(env *environment) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use: "cancel NAME", Short: "End a copy", Long: "End a copy: one that follows, or one before it is over. What it has copied stays, and the same copy started again goes on there.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return inquiry[wire.Copy]{func(node *client.Client) (wire.Copy, error) { return node.CancelCopy(c.Context(), args[0]) }, printCopy}.run(c, env, &out)
		},
	}
	out.flag(c)
	return c
}

func printCopy(w io.Writer, c *wire.Copy) {
	fmt.Fprintf(w, "copy     %s\nfrom     %s\nto       %s\nstate    %s\nstarted  %s\n", c.Name, c.From, goal(c), c.State, stamp(c.Started))
	if c.Reason != "" {
		fmt.Fprintf(w, "reason   %s\n", clean(c.Reason))
	}
	if c.Problem != "" {
		fmt.Fprintf(w, "problem  %s\n", clean(c.Problem))
	}
	p := c.Progress
	if p == nil {
		return
	}
	fmt.Fprintf(w, "copied   %d\nbehind   %d\n", p.Copied, p.Behind)
	if p.Missed > 0 {
		fmt.Fprintf(w, "missed   %d, which retention had taken before their turn\n", p.Missed)
	}
}

func copyPositions(env *environment) *cobra.Command {
	var out output
	var req wire.CopyPositions
	c := &cobra.Command{
		Use: "positions NAME", Short: "Store where triggers stand in the topic that theirs is copied to",
		Long: `Store where the triggers of a copied topic stand, as positions in the topic that it is copied to: in the log of that, as those of the
consumer groups dalamb.FUNCTION.TRIGGER. A trigger with start: group that is deployed on a node of that log goes on there.

Every trigger must have finished all events. With --unfinished those that have not are taken too; what they have finished behind the
first event that is not, runs again there.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if _, err := out.json(); err != nil {
				return err
			}
			node, err := env.client()
			if err != nil {
				return err
			}
			placed, err := node.PlaceCopy(c.Context(), args[0], req)
			if err != nil {
				return err
			}
			return out.print(c.OutOrStdout(), placed, func(w io.Writer) {
				if len(placed.Triggers) == 0 {
					fmt.Fprintln(c.ErrOrStderr(), "no trigger listens to the topic")
					return
				}
				var rows []row
				for _, p := range placed.Triggers {
					rows = append(rows, cells(p.Function+"/"+p.Trigger, strconv.Itoa(int(p.Partition)), number(p.From), number(p.To)))
				}
				table(w, []string{"FUNCTION/TRIGGER", "PARTITION", "OFFSET", "OFFSET THERE"}, rows)
			})
		},
	}
	c.Flags().BoolVar(&req.Unfinished, "unfinished", false, "also of triggers that have events left; some may run again there")
	out.flag(c)
	return c
}
