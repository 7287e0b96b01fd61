package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

func runsCount(env *environment) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use: "count", Short: "Count the runs of the last 15 minutes by trigger and state",
		Long: `Count the runs of the last 15 minutes by trigger and state, each where it stands now, and the events that they emitted. They are counted as
they end, so the answer takes as long however many there were. After a start of the node the newest 5000 runs from before it are counted too; SINCE, on
stderr, says from when on all of them are.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if _, err := out.json(); err != nil {
				return err
			}
			node, err := env.client()
			if err != nil {
				return err
			}
			counts, err := node.RunCounts(c.Context())
			if err != nil {
				return err
			}
			counts.Triggers = ofEnvironment(env, counts.Triggers, func(t *wire.TriggerRuns) string { return t.Function })
			return out.print(c.OutOrStdout(), counts, func(w io.Writer) {
				fmt.Fprintf(c.ErrOrStderr(), "since %s\n", stamp(counts.Since))
				var rows []row
				for _, t := range counts.Triggers {
					rows = append(rows, counted(t.Function+"/"+t.Trigger, t.Runs, t.Emitted))
				}
				if len(counts.Others) > 0 {
					rows = append(rows, counted("others", counts.Others, nil))
				}
				if len(rows) == 0 {
					fmt.Fprintln(c.ErrOrStderr(), "no run has ended, or failed, since then")
					return
				}
				table(w, []string{"FUNCTION/TRIGGER", "SUCCEEDED", "RETRYING", "DEAD", "DISCARDED", "EXPIRED", "EMITTED"}, rows)
			})
		},
	}
	out.flag(c)
	return c
}

// counted is the row of a trigger, with how many events its runs emitted to each topic.
func counted(name string, runs map[function.RunState]int64, emitted map[string]int64) row {
	line := cells(name)
	for _, state := range []function.RunState{function.RunSucceeded, function.RunRetrying, function.RunDead, function.RunDiscarded, function.RunExpired} {
		line.cells = append(line.cells, strconv.FormatInt(runs[state], 10))
	}
	var to []string
	for _, topic := range slices.Sorted(maps.Keys(emitted)) {
		to = append(to, fmt.Sprintf("%s %d", topic, emitted[topic]))
	}
	line.cells = append(line.cells, orDash(strings.Join(to, ", ")))
	return line
}
