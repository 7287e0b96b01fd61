package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

func scheduleCommand(env *environment) *cobra.Command {
	c := &cobra.Command{Use: "schedule", Short: "Show what runs at planned times", Args: cobra.NoArgs}
	c.AddCommand(scheduleList(env))
	return c
}

func scheduleList(env *environment) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use: "ls", Short: "List schedules, when each ticked last and when it will next",
		Long: `List the triggers that run at planned times. LAST is the newest planned time that ran or will run, NEXT those that follow, in the
schedule's time zone and before its jitter. dalamb trigger pause FUNCTION/TRIGGER stops one.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			node, err := env.client()
			if err != nil {
				return err
			}
			list, err := node.Schedules(c.Context())
			if err != nil {
				return err
			}
			list = ofEnvironment(env, list, func(s *wire.Schedule) string { return s.Function })
			return out.print(c.OutOrStdout(), list, func(w io.Writer) {
				if len(list) == 0 {
					fmt.Fprintln(c.ErrOrStderr(), "no schedules; a trigger in dalamb.yaml has one: schedule: \"*/5 * * * *\"")
					return
				}
				var rows []row
				for _, s := range list {
					rows = append(rows, cells(s.Function+"/"+s.Trigger, timesOf(s.Schedule, s.Timezone), stamp(s.Last), nextOf(s)))
				}
				table(w, []string{"TRIGGER", "SCHEDULE", "LAST", "NEXT"}, rows)
			})
		},
	}
	out.flag(c)
	return c
}

// timesOf is a schedule with its time zone.
func timesOf(schedule, timezone string) string {
	return strings.TrimSpace(schedule + " " + timezone)
}

func nextOf(s wire.Schedule) string {
	if s.Paused {
		return "paused"
	}
	if len(s.Next) == 0 {
		return "never again"
	}
	var at []string
	for _, t := range s.Next {
		at = append(at, t.Format("Mon "+time.DateTime+" -07:00"))
	}
	text := strings.Join(at, ", ")
	if s.Jitter > 0 {
		text += " (late by up to " + function.Duration(s.Jitter).String() + ")"
	}
	return text
}
