package cli

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

func seekCommand(env *environment) *cobra.Command {
	var out output
	var to string
	var partition int32
	var yes, dryRun bool
	c := &cobra.Command{
		Use:   "seek FUNCTION/TRIGGER --to earliest|latest|TIME|OFFSET [--partition P] [--yes]",
		Short: "Let a trigger go on from another place in its topic",
		Long: `Let a trigger go on from another place in its topic: earliest, latest, a time (2026-12-01T09:00:00Z), how long ago (15m), or an
offset, which with --partition is meant in that partition alone, and without in each. Events behind the new place run again, with
new run ids, and what they emit is emitted again; events before it that were not finished are skipped. What is under way is finished,
what waits for another attempt is discarded; dalamb runs shows it.

How many events that is, is said first, and asked for; --yes answers. dalamb replay runs a stretch again beside the trigger instead.`,
		Example: "  dalamb seek validate/on-requested --to 2h\n  dalamb seek validate/on-requested --partition 3 --to 1200 --yes",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			asJSON, err := out.json()
			if err != nil {
				return err
			}
			fn, trigger, err := triggerName(c, args[0])
			if err != nil {
				return err
			}
			req := wire.Seek{To: to, DryRun: true}
			if c.Flags().Changed("partition") {
				req.Partition = &partition
			}
			node, err := env.client()
			if err != nil {
				return err
			}
			would, err := node.Seek(c.Context(), fn, trigger, req)
			if err != nil {
				return err
			}
			if dryRun {
				return out.print(c.OutOrStdout(), would, func(w io.Writer) { printSought(w, &would) })
			}
			if !yes {
				if !asJSON {
					printSought(c.OutOrStdout(), &would)
				}
				if err := confirm(c, "seek "+args[0]); err != nil {
					return err
				}
			}
			req.DryRun = false
			done, err := node.Seek(c.Context(), fn, trigger, req)
			if err != nil {
				return err
			}
			return out.print(c.OutOrStdout(), done, func(w io.Writer) {
				if yes {
					printSought(w, &done)
				}
				fmt.Fprintf(w, "sought %s\n", args[0])
			})
		},
	}
	f := c.Flags()
	f.StringVar(&to, "to", "", "earliest, latest, a time, how long ago (15m), or an offset")
	f.Int32Var(&partition, "partition", 0, "only in this partition (default: in all)")
	f.BoolVar(&yes, "yes", false, "do it without asking")
	f.BoolVar(&dryRun, "dry-run", false, "only say what it would do")
	c.MarkFlagRequired("to")
	out.flag(c)
	return c
}

// triggerName takes FUNCTION/TRIGGER apart.
func triggerName(c *cobra.Command, arg string) (fn, trigger string, err error) {
	fn, trigger, ok := strings.Cut(arg, "/")
	if !ok || fn == "" || trigger == "" {
		return "", "", usageError{c.CommandPath(), fmt.Errorf("%q is not FUNCTION/TRIGGER", arg)}
	}
	return fn, trigger, nil
}

func printSought(w io.Writer, s *wire.Sought) {
	var rows []row
	for _, p := range s.Partitions {
		if p.From != p.To {
			rows = append(rows, cells(strconv.Itoa(int(p.ID)), strconv.FormatInt(p.From, 10), strconv.FormatInt(p.To, 10)))
		}
	}
	if len(rows) == 0 {
		fmt.Fprintf(w, "%s/%s stands there already\n", s.Function, s.Trigger)
		return
	}
	table(w, []string{"PARTITION OF " + s.Topic, "FROM", "TO"}, rows)
	least := ""
	if s.AtLeast {
		least = "at least "
	}
	fmt.Fprintf(w, "to run again: %s%s; to be skipped: %s%s\n", least, count(s.Again, "event"), least, count(s.Skipped, "event"))
}

// confirm asks whoever sits at the terminal. Where nobody does, the answer is no.
func confirm(c *cobra.Command, what string) error {
	refused := fault.New(fault.Invalid, "%s: nobody said yes", what).WithHint("to do it without being asked: --yes")
	if !terminal(c.InOrStdin()) {
		return refused
	}
	fmt.Fprintf(c.ErrOrStderr(), "%s? [y/N] ", what)
	var answer string
	if _, err := fmt.Fscanln(c.InOrStdin(), &answer); err != nil {
		return refused // an empty line, or Ctrl-D
	}
	if a := strings.ToLower(answer); a != "y" && a != "yes" {
		return refused
	}
	return nil
}

func terminal(in io.Reader) bool {
	f, ok := in.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
