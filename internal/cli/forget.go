package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/wire"
)

func forgetCommand(env *environment) *cobra.Command {
	var out output
	var f wire.Forget
	var yes, dryRun bool
	c := &cobra.Command{
		Use:   "forget --key K [--topic T] [--dry-run | --yes]",
		Short: "Make the events of a key unreadable, for good",
		Long: `Make the events of a key unreadable, for good: in all sealed topics, or in one (dalamb topic create --seal). The keys that their data is
encrypted with are taken away. The events stay where they are, with their id, type, time and key, and without data; proofs of the audit hold as before.
Their dead letters are given up. New events of the key get another key.

How many events that is, is said first, and asked for; --yes answers. It cannot be undone. Back-ups that were made before still have the keys, until they are
pruned; what functions made of the events is as they left it. docs/forget.md says what is not reached.`,
		Example: "  dalamb forget --key customer-4711\n  dalamb forget --key customer-4711 --topic orders --yes",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			asJSON, err := out.json()
			if err != nil {
				return err
			}
			if f.Key == "" {
				return usageError{c.CommandPath(), fmt.Errorf("--key is empty: say whose events are to be forgotten")}
			}
			node, err := env.client()
			if err != nil {
				return err
			}
			if dryRun || !yes {
				f.DryRun = true
				would, err := node.Forget(c.Context(), f)
				if err != nil {
					return err
				}
				if dryRun {
					return out.print(c.OutOrStdout(), would, func(w io.Writer) { printForgotten(w, &would) })
				}
				if !asJSON {
					printForgotten(c.OutOrStdout(), &would)
				}
				if err := confirm(c, "forget "+reached(&would)); err != nil {
					return err
				}
				f.DryRun = false
			}
			done, err := node.Forget(c.Context(), f)
			if err != nil {
				return err
			}
			return out.print(c.OutOrStdout(), done, func(w io.Writer) {
				if yes {
					printForgotten(w, &done)
				}
				fmt.Fprintf(w, "forgotten: %s\n", reached(&done))
				if !done.Erased {
					fmt.Fprintln(w, "the encrypted keys leave the cluster's disks with its own compaction of _dalamb.seals")
				}
			})
		},
	}
	c.Flags().StringVar(&f.Key, "key", "", "the key: an event's partitionkey, else its subject")
	c.Flags().StringVar(&f.Topic, "topic", "", "only in this topic (default: in all that are sealed)")
	c.Flags().BoolVar(&yes, "yes", false, "do it without asking")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "only say what it would do")
	c.MarkFlagRequired("key")
	out.flag(c)
	return c
}

func printForgotten(w io.Writer, f *wire.Forgotten) {
	if len(f.Topics) == 0 && f.Again && !f.AtLeast && f.DeadLetters == 0 && f.Delayed == 0 {
		fmt.Fprintln(w, "already forgotten: there is nothing more of it")
		return
	}
	var rows []row
	for _, t := range f.Topics {
		rows = append(rows, cells(t.Topic, fmt.Sprint(t.Events)))
	}
	table(w, []string{"TOPIC", "EVENTS"}, rows)
}

// reached says in words what is forgotten.
func reached(f *wire.Forgotten) string {
	text := count(f.Events, "event") + " in " + count(int64(len(f.Topics)), "topic")
	if f.AtLeast {
		text = "at least " + text
	}
	if f.DeadLetters > 0 {
		text += ", " + count(int64(f.DeadLetters), "dead letter")
	}
	if f.Delayed > 0 {
		text += ", " + count(int64(f.Delayed), "delayed event")
	}
	return text
}
