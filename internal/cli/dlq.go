package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

func dlqCommand(env *environment) *cobra.Command {
	list := dlqList(env)
	c := &cobra.Command{
		Use: "dlq", Short: "Dead letters: list, show, edit, redrive, discard",
		Long: `Dead letters are runs that used up their attempts. They keep their event and every error until they are redriven or discarded,
or for 90 days. Without a sub-command they are listed. Of an ID the first characters are enough, four at least, where no other begins so.`,
		Args: cobra.NoArgs, RunE: list.RunE,
	}
	c.Flags().AddFlagSet(list.Flags())
	c.AddCommand(list, dlqShow(env), dlqEdit(env), dlqRedrive(env), dlqDiscard(env))
	return c
}

// selection are the flags that choose dead letters.
type selection struct {
	query                  client.DeadQuery
	pattern, since, before string
}

func (s *selection) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&s.query.Function, "function", "", "only of this function")
	f.StringVar(&s.query.Trigger, "trigger", "", "only of triggers of this name")
	f.StringVar(&s.pattern, "pattern", "", "only those whose event matches: JSON, or @FILE, or -")
	f.StringVar(&s.query.Error, "error", "", "only those whose last error has this text in it")
	f.StringVar(&s.since, "since", "", "only those that died since this time, or how long ago (15m)")
	f.StringVar(&s.before, "before", "", "only those that died before this time")
}

func (s *selection) read(c *cobra.Command) error {
	pattern, err := argument(c, s.pattern)
	if err != nil {
		return fmt.Errorf("read --pattern: %w", err)
	}
	s.query.Pattern = string(pattern)
	if s.query.Since, err = moment(s.since); err != nil {
		return err
	}
	s.query.Before, err = moment(s.before)
	return err
}

// choose reads the flags of a command that does something to dead letters: which ones has to be said, by their names or by flags.
func (s *selection) choose(c *cobra.Command, names []string, all bool) error {
	if err := s.read(c); err != nil {
		return err
	}
	switch selects := all || s.query != (client.DeadQuery{}); {
	case !selects && len(names) == 0:
		return usageError{c.CommandPath(), fault.New(fault.Invalid, "nothing selects a dead letter").
			WithHint("name dead letters, or select them by --function, --trigger, --pattern, --error, --since or --before; or say --all")}
	case selects && len(names) > 0:
		return usageError{c.CommandPath(), fault.New(fault.Invalid, "dead letters that are named cannot be selected too").
			WithHint("leave out the names, or --function, --trigger, --pattern, --error, --since, --before and --all")}
	}
	return nil
}

// find lists the dead letters that are selected, the newest first, at most limit of them.
func (s *selection) find(ctx context.Context, node *client.Client, limit int) ([]function.DeadLetter, error) {
	letters, q := []function.DeadLetter{}, s.query
	for len(letters) < limit {
		q.Limit = min(limit-len(letters), 1000)
		page, err := node.DeadLetters(ctx, q)
		if err != nil {
			return nil, err
		}
		letters = append(letters, page.DeadLetters...)
		if q.After = page.Next; q.After == "" {
			break
		}
	}
	return letters, nil
}

func dlqList(env *environment) *cobra.Command {
	var out output
	var s selection
	var limit int
	c := &cobra.Command{
		Use: "ls", Short: "List dead letters, newest first", Long: "List dead letters, newest first.", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if _, err := out.json(); err != nil {
				return err
			}
			if err := atLeast(c, "limit", limit, 1); err != nil {
				return err
			}
			if err := s.read(c); err != nil {
				return err
			}
			s.query.Env = env.env
			node, err := env.client()
			if err != nil {
				return err
			}
			letters, err := s.find(c.Context(), node, limit)
			if err != nil {
				return err
			}
			return out.print(c.OutOrStdout(), letters, func(w io.Writer) {
				if len(letters) == 0 {
					fmt.Fprintln(c.ErrOrStderr(), "no dead letters")
					return
				}
				var rows []row
				for _, l := range letters {
					rows = append(rows, runRow(&l.Run))
				}
				table(w, runHead(), rows)
			})
		},
	}
	s.flags(c)
	c.Flags().IntVar(&limit, "limit", 100, "at most so many")
	out.flag(c)
	return c
}

func dlqRedrive(env *environment) *cobra.Command {
	var out output
	var s selection
	var all bool
	var rate float64
	var version int
	var wait bool
	c := &cobra.Command{
		Use:   "redrive [ID...] [--function F] [--trigger T] [--pattern P] [--error TEXT] [--since T] [--before T] [--all]",
		Short: "Run dead letters again, each for its own trigger alone",
		Long: `Run dead letters again: those named, or those that the flags select (all that hold), or --all. Each runs for its own trigger
alone; other triggers of the same event do not see it. One that fails again stays a dead letter, with its new errors added. Of an
ID the first characters are enough, four at least, where no other begins so.

The job goes on by itself, also after a restart of the node.`,
		RunE: func(c *cobra.Command, args []string) error {
			if err := s.choose(c, args, all); err != nil {
				return err
			}
			if env.env != "" && len(args) == 0 && s.query.Function == "" {
				return usageError{c.CommandPath(), fault.New(fault.Invalid, "a selection without --function goes over all environments").
					WithHint("say --function; or leave --%s (and DALAMB_ENV) away", envFlag)}
			}
			node, err := env.client()
			if err != nil {
				return err
			}
			started, err := node.Redrive(c.Context(), wire.Redrive{
				IDs: args, Function: s.query.Function, Trigger: s.query.Trigger, Pattern: json.RawMessage(s.query.Pattern),
				After: s.query.Since, Before: s.query.Before, All: all, Rate: rate, Error: s.query.Error, Version: version,
			})
			if err != nil {
				return err
			}
			if wait {
				return awaitRedrive(c, node, &out, started)
			}
			return out.print(c.OutOrStdout(), started, func(w io.Writer) {
				fmt.Fprintf(w, "redriving %s, job %s; dalamb runs shows what comes of it\n", count(int64(started.Selected), "dead letter"), started.Job)
			})
		},
	}
	s.flags(c)
	c.Flags().BoolVar(&all, "all", false, "all dead letters")
	c.Flags().IntVar(&version, "version", 0, "run this version (default: live); with names or --function")
	c.Flags().BoolVar(&wait, "wait", false, "wait until all have been asked to run again, and show how far it is")
	c.Flags().Float64Var(&rate, "rate", 0, "runs per second (0: as fast as the triggers take them)")
	out.flag(c)
	return c
}
