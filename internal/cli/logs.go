package cli

import (
	"encoding/json"
	"fmt"
	"strings"
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
		Use:   "logs NAME [-f] [--run ID] [--level LEVEL] [--text TEXT] [--since TIME]",
		Short: "Show what a function wrote to stdout and stderr",
		Long: `Show what a function wrote to stdout and stderr, oldest first; with -f go on. Of a line that is an object of JSON the level, the message and the
other fields are shown; -o json has its text as it was written. See docs/logs.md.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			asJSON, err := out.json()
			if err != nil {
				return err
			}
			if err := atLeast(c, "limit", o.Limit, 1); err != nil {
				return err
			}
			if err := atLeast(c, "version", o.Version, 1); err != nil {
				return err
			}
			node, err := env.client()
			if err != nil {
				return err
			}
			o.Function = args[0]
			if n, err := node.Node(c.Context()); err == nil { // who may not ask for it gets the lines nevertheless
				fmt.Fprint(c.ErrOrStderr(), notKept(n.Space))
			}
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
					_, err = fmt.Fprintf(c.OutOrStdout(), "%s  v%d  %-6s  %s\n", stamp(l.Time), l.Version, l.Stream, clean(readable(l)))
				}
				if err != nil {
					return err
				}
			}
			if none && !asJSON {
				switch narrow := o.Version != 0 || o.Level != "" || o.Text != "" || o.Since != "" || o.Until != ""; {
				case narrow:
					fmt.Fprintf(c.ErrOrStderr(), "no line of %s that is kept fits\n", o.Function)
				case o.Run == "":
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
	f.StringVar(&o.Run, "run", "", "only of this run; the first characters of its `ID` are enough where no other begins so")
	f.Int64Var(&o.Version, "version", 0, "only of the version of this number")
	f.StringVar(&o.Level, "level", "", "only what is at least so serious: "+strings.Join(function.LogLevels(), ", ")+"; a line that names no level is info")
	f.StringVar(&o.Text, "text", "", "only with this text, in capitals or not")
	f.StringVar(&o.Since, "since", "", "only since this time, or how long ago (15m)")
	f.StringVar(&o.Until, "until", "", "only before this time")
	f.Int64Var(&o.Limit, "limit", 1000, "the last so many lines")
	out.flag(c)
	c.MarkFlagsMutuallyExclusive("follow", "until")
	return c
}

// notKept says that a node with so much space keeps no lines; "" = it does.
func notKept(space string) string {
	if space != "low" && space != "empty" {
		return ""
	}
	return "warning: lines that are written now are not kept, because the node's disk is nearly full (space: " + space + "); free some, dalamb doctor says how much there is\n"
}

// readable is a line as a person reads it: of an object of JSON the level, the message and the other fields.
func readable(l function.LogLine) string {
	t := l.Read()
	if t.Message == l.Text {
		return l.Text
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%-5s %s", strings.ToUpper(string(t.Level)), t.Message)
	for i, f := range t.Fields {
		if i == 0 {
			b.WriteByte(' ')
		}
		value := string(f.Value)
		var plain string
		if json.Unmarshal(f.Value, &plain) == nil && plain != "" && !strings.ContainsAny(plain, " =\"") {
			value = plain
		}
		fmt.Fprintf(&b, " %s=%s", f.Name, value)
	}
	return b.String()
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
