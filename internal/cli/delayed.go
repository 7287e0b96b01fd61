package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// later are the flags by which an event waits.
type later struct {
	at string
	in string
}

func (l *later) flags(c *cobra.Command) {
	c.Flags().StringVar(&l.at, "at", "", "not before this time, such as 2026-12-24T09:00:00Z or 2026-12-24 (UTC), at most a year ahead")
	c.Flags().StringVar(&l.in, "in", "", "not before so long from now, such as 10m or 2d")
	c.MarkFlagsMutuallyExclusive("at", "in")
}

// due is the time that the flags mean; zero where none is given.
func (l *later) due(now time.Time) (time.Time, error) {
	switch {
	case l.at != "":
		t, ok := function.ParseInstant(l.at)
		if !ok {
			return t, fault.New(fault.Invalid, "--at: %q is no time", l.at).WithHint("write it as %s", now.Format(time.RFC3339))
		}
		return t, nil
	case l.in != "":
		var d function.Duration
		if err := d.UnmarshalText([]byte(l.in)); err != nil {
			return time.Time{}, fault.New(fault.Invalid, "--in: %w", err)
		}
		return now.Add(d.Std()), nil
	}
	return time.Time{}, nil
}

func delayedCommand(env *environment) *cobra.Command {
	c := &cobra.Command{Use: "delayed", Short: "List and cancel events that wait until they are due", Args: cobra.NoArgs}
	c.AddCommand(delayedList(env), delayedCancel(env))
	return c
}

func delayedList(env *environment) *cobra.Command {
	var out output
	var limit int
	c := &cobra.Command{
		Use: "ls", Short: "List events that wait", Args: cobra.NoArgs,
		Long: `List the events that wait until they are due, the next one first. With --env those for topics of that environment, among the next 1000 of all.`,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := atLeast(c, "limit", limit, 1); err != nil {
				return err
			}
			node, err := env.client()
			if err != nil {
				return err
			}
			list, err := delayedIn(c.Context(), node, env.env, limit)
			if err != nil {
				return err
			}
			return out.print(c.OutOrStdout(), list, func(w io.Writer) {
				if list.Total == 0 {
					fmt.Fprintln(c.ErrOrStderr(), "no event waits; dalamb emit --in 10m makes one wait")
					return
				}
				var rows []row
				for _, d := range list.Delayed {
					typ, key := "-", "-"
					var e event.Event
					if json.Unmarshal(d.Event, &e) == nil {
						typ, key = e.Type, orDash(e.Key())
					}
					rows = append(rows, cells(d.ID, stamp(d.Due), d.Topic, typ, key))
				}
				table(w, []string{"ID", "DUE", "TOPIC", "EVENT", "KEY"}, rows)
				if more := list.Total - len(list.Delayed); more > 0 {
					fmt.Fprintf(w, "and %d more\n", more)
				}
			})
		},
	}
	c.Flags().IntVar(&limit, "limit", 100, "events at most")
	out.flag(c)
	return c
}

// mostDelayed is how many events that wait a node tells of at a time.
const mostDelayed = 1000

// delayedIn are the first events that wait for topics of an environment; "" = for any.
func delayedIn(ctx context.Context, node *client.Client, env string, limit int) (wire.DelayedList, error) {
	if env == "" {
		return node.Delayed(ctx, limit)
	}
	list, err := node.Delayed(ctx, mostDelayed)
	list.Delayed = slices.DeleteFunc(list.Delayed, func(d wire.Delayed) bool { return !function.Within(env, d.Topic) })
	list.Total = len(list.Delayed)
	list.Delayed = list.Delayed[:min(limit, list.Total)]
	return list, err
}

func delayedCancel(env *environment) *cobra.Command {
	return &cobra.Command{
		Use: "cancel ID...", Short: "Take events back that are not due yet", Args: cobra.MinimumNArgs(1),
		Long: `Take events back that are not due yet. ID is what emit printed, and what dalamb delayed ls shows. An event that has been released is in
its topic, and stays there.`,
		RunE: func(c *cobra.Command, args []string) error {
			node, err := env.client()
			if err != nil {
				return err
			}
			for _, id := range args {
				if err := node.CancelDelayed(c.Context(), id); err != nil {
					return err
				}
				fmt.Fprintf(c.OutOrStdout(), "cancelled %s\n", id)
			}
			return nil
		},
	}
}
