package cli

import (
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/wire"
)

func triggerListCommand(env *environment) *cobra.Command {
	var out output
	var topic string
	c := &cobra.Command{
		Use: "ls", Short: "List the triggers of all functions",
		Long: `List the triggers of all functions: what each listens to, whether it runs, how many events it has not finished (LAG), and how many retention took
before it had looked at them (LOST). What came of it lately says dalamb runs count.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if _, err := out.json(); err != nil {
				return err
			}
			node, err := env.client()
			if err != nil {
				return err
			}
			list, err := node.Triggers(c.Context(), topic)
			if err != nil {
				return err
			}
			list = ofEnvironment(env, list, func(t *wire.FunctionTrigger) string { return t.Function })
			return out.print(c.OutOrStdout(), list, func(w io.Writer) {
				if len(list) == 0 {
					fmt.Fprintln(c.ErrOrStderr(), "no function has triggers; triggers: in a manifest connects one to a topic, a route or a schedule")
					return
				}
				var rows []row
				for _, t := range list {
					rows = append(rows, triggerLine(&t))
				}
				table(w, []string{"FUNCTION/TRIGGER", "OF", "STATE", "LAG", "LOST"}, rows)
			})
		},
	}
	c.Flags().StringVar(&topic, "topic", "", "only those that listen to this topic")
	out.flag(c)
	return c
}

func triggerLine(t *wire.FunctionTrigger) row {
	of, state, lag := "topic "+t.Topic, "running", "-"
	switch {
	case t.Route != nil:
		of = "route " + t.Route.Method + " " + t.Route.Path
	case t.Schedule != "":
		of = "schedule " + t.Schedule
	}
	if t.Paused {
		state = "paused"
	}
	if t.Lag != nil {
		lag = lagText(*t.Lag, t.LagPartial)
	}
	line := cells(t.Function+"/"+t.Name, of, state, lag, strconv.FormatInt(t.Lost, 10))
	if t.Error != "" {
		line.notes = []string{oneLine(t.Error)}
	}
	return line
}

// lagText is a lag in a table; one that is not wholly known ends with a plus sign.
func lagText(lag int64, partial bool) string {
	if partial {
		return strconv.FormatInt(lag, 10) + "+"
	}
	return strconv.FormatInt(lag, 10)
}
