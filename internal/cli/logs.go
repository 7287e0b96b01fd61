package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

func logsCommand(env *environment) *cobra.Command {
	var out output
	var o client.LogQuery
	c := &cobra.Command{
		Use:   "logs NAME [-f] [--run ID]",
		Short: "Show what a function wrote to stdout and stderr",
		Long:  "Show what a function wrote to stdout and stderr, oldest first; with -f go on.",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			asJSON, err := out.json()
			if err != nil {
				return err
			}
			if err := atLeast(c, "limit", o.Limit, 1); err != nil {
				return err
			}
			node, err := env.client()
			if err != nil {
				return err
			}
			o.Function = args[0]
			none := true
			ctx, stop := follow(c, o.Follow)
			defer stop()
			for l, err := range node.Logs(ctx, o) {
				if err != nil {
					return ended(ctx, o.Follow, err)
				}
				none = false
				if asJSON {
					err = printLine(c.OutOrStdout(), l)
				} else {
					if l.Dropped > 0 {
						fmt.Fprintf(c.OutOrStdout(), "... %d lines were dropped: too many at once\n", l.Dropped)
					}
					_, err = fmt.Fprintf(c.OutOrStdout(), "%s  v%d  %-6s  %s\n", stamp(l.Time), l.Version, l.Stream, clean(l.Text))
				}
				if err != nil {
					return err
				}
			}
			if none && !asJSON {
				switch o.Run {
				case "":
					fmt.Fprintf(c.ErrOrStderr(), "%s wrote nothing yet; dalamb runs --function %[1]s shows its runs, dalamb events --topic _dalamb.requests --filter '{\"subject\":[\"%[1]s\"]}' its calls\n", o.Function)
				default:
					fmt.Fprintf(c.ErrOrStderr(), "%s wrote nothing in run %s, or the log has it no more\n", o.Function, o.Run)
				}
			}
			return nil
		},
	}
	f := c.Flags()
	f.BoolVarP(&o.Follow, "follow", "f", false, "go on with what is written from now on")
	f.StringVar(&o.Run, "run", "", "only of this run")
	f.Int64Var(&o.Limit, "limit", 1000, "the last so many lines")
	out.flag(c)
	return c
}

// moment reads a time, or how long ago it was; "" is the zero time.
func moment(v string) (time.Time, error) {
	if v == "" {
		return time.Time{}, nil
	}
	t, ok := function.ParseMoment(v, time.Now())
	if !ok {
		return t, fault.New(fault.Invalid, "%q is no time", v).WithHint(function.TimeForms)
	}
	return t, nil
}
