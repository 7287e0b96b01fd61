package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// clockForms is the hint for a text that is no time of history.
const clockForms = "14:05 is the last one; 2h is so long ago; " + function.TimeForms

func historyCommand(env *environment) *cobra.Command {
	var out output
	var at, since, fn string
	var limit int64
	c := &cobra.Command{
		Use:   "history [--at TIME | --since TIME] [--function F]",
		Short: "List what was changed, or show the platform as it was at a time",
		Long: `List what was changed on the platform, the newest last: deploys, shifts of aliases, roll-outs, pauses, seeks, secrets and configuration values by
name, and for a deploy where it came from, where that is known. With --at show the platform as it was at that time: functions, their versions and aliases with weights,
triggers and pauses, and the names of configuration values and secrets.

A time is 2026-01-31T15:04:05Z, 14:05 (the last one, of this machine's clock), or how long ago: 2h, "2h ago". Both read the log of changes from its beginning; see
docs/questions.md.`,
		Example: "  dalamb history --since 2h\n  dalamb history --at 14:05 --function pay",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if _, err := out.json(); err != nil {
				return err
			}
			if at != "" && since != "" {
				return fault.New(fault.Invalid, "--at and --since cannot both be given").WithHint("--at shows a state, --since lists changes")
			}
			if err := atLeast(c, "limit", limit, 1); err != nil {
				return err
			}
			node, err := env.client()
			if err != nil {
				return err
			}
			if at != "" {
				when, err := clockTime("--at", at, time.Now())
				if err != nil {
					return err
				}
				p, err := node.Past(c.Context(), when, fn)
				if err != nil {
					return err
				}
				p.Functions = ofEnvironment(env, p.Functions, func(f *wire.PastFunction) string { return f.Name })
				p.Config = ofEnvironment(env, p.Config, func(name *string) string { return *name })
				p.Secrets = ofEnvironment(env, p.Secrets, func(name *string) string { return *name })
				return out.print(c.OutOrStdout(), p, func(w io.Writer) { printPast(w, &p, fn == "") })
			}
			q := client.ChangeQuery{Function: fn, Env: env.env, Limit: limit}
			if since != "" {
				if q.Since, err = clockTime("--since", since, time.Now()); err != nil {
					return err
				}
			}
			list, err := node.Changes(c.Context(), q)
			if err != nil {
				return err
			}
			return out.print(c.OutOrStdout(), list, func(w io.Writer) {
				if len(list.Changes) == 0 {
					fmt.Fprintln(c.ErrOrStderr(), "nothing was changed")
					return
				}
				printHistory(w, &list)
			})
		},
	}
	f := c.Flags()
	f.StringVar(&at, "at", "", "show the platform as it was at this time")
	f.StringVar(&since, "since", "", "list only what was changed since this time")
	f.StringVar(&fn, "function", "", "only this function")
	f.Int64Var(&limit, "limit", 100, "list the newest so many changes, at most 10000")
	out.flag(c)
	return c
}

// clockTime reads a time as people say it: 14:05 is the last time that the clock showed that.
func clockTime(flag, text string, now time.Time) (time.Time, error) {
	plain := strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(text), " ago"))
	for _, layout := range []string{"15:04", "15:04:05"} {
		clock, err := time.Parse(layout, plain)
		if err != nil {
			continue
		}
		local := now.Local()
		at := time.Date(local.Year(), local.Month(), local.Day(), clock.Hour(), clock.Minute(), clock.Second(), 0, time.Local)
		if at.After(now) {
			at = at.AddDate(0, 0, -1)
		}
		return at, nil
	}
	if at, ok := function.ParseMoment(plain, now); ok {
		return at, nil
	}
	return time.Time{}, fault.New(fault.Invalid, "%s: %q is no time", flag, fault.Clip(text)).WithHint("%s", clockForms)
}

func printHistory(w io.Writer, list *wire.ChangeList) {
	if list.Older {
		fmt.Fprintln(w, "older changes are left out; --limit shows more")
	}
	var rows []row
	for _, ch := range list.Changes {
		what := ch.Kind + " " + ch.Name
		if ch.Kind == "function" {
			what = ch.Name
		}
		by := "-"
		if ch.By != nil {
			by = ch.By.String()
		}
		rows = append(rows, cells(stamp(ch.Time), what, ch.What, by, from(ch.Origin)))
	}
	table(w, []string{"WHEN", "WHAT", "CHANGE", "BY", "FROM"}, rows)
}

// from is where a deploy came from.
func from(o *function.Origin) string {
	if o == nil {
		return "-"
	}
	text := o.String()
	if o.Pusher != "" {
		text += ", pushed by " + o.Pusher
	}
	return text
}

func printPast(w io.Writer, p *wire.Past, values bool) {
	fmt.Fprintf(w, "at %s, after %s\n", stamp(p.At), count(p.Control, "control event"))
	for _, f := range p.Functions {
		fmt.Fprintf(w, "\n%s  %s\n", f.Name, versionsText(f.Versions))
		for _, a := range f.Aliases {
			fmt.Fprintf(w, "  alias %s  version %d%s\n", a.Name, a.Primary, weightsText(&a))
		}
		if f.Rollout != "" {
			fmt.Fprintf(w, "  roll-out  %s\n", f.Rollout)
		}
		for _, t := range f.Triggers {
			fmt.Fprintf(w, "  trigger %s  %s\n", t.Name, clean(pastTriggerText(&t)))
		}
	}
	if len(p.Functions) == 0 {
		fmt.Fprintf(w, "\nno such function was there\n")
	}
	if values {
		fmt.Fprintf(w, "\nconfig   %s\nsecrets  %s\n", orDash(strings.Join(p.Config, ", ")), orDash(strings.Join(p.Secrets, ", ")))
	}
}

// versionsText shortens a rising list of versions.
func versionsText(numbers []int) string {
	switch n := len(numbers); {
	case n == 0:
		return "no version"
	case n == 1:
		return fmt.Sprintf("version %d", numbers[0])
	case numbers[n-1]-numbers[0] == n-1:
		return fmt.Sprintf("versions %d to %d", numbers[0], numbers[n-1])
	default:
		return "versions " + strings.Trim(strings.ReplaceAll(fmt.Sprint(numbers), " ", ", "), "[]")
	}
}

func weightsText(a *function.Alias) (text string) {
	if len(a.Weights) > 0 {
		text = fmt.Sprintf(" with %d%%", a.Share(a.Primary))
	}
	for _, n := range slices.Sorted(maps.Keys(a.Weights)) {
		if n != a.Primary {
			text += fmt.Sprintf(", version %d with %d%%", n, a.Weights[n])
		}
	}
	return text
}

func pastTriggerText(t *wire.PastTrigger) string {
	var parts []string
	switch {
	case t.Route != "":
		parts = append(parts, "route "+t.Route)
	case t.Schedule != "":
		parts = append(parts, "schedule "+t.Schedule)
	default:
		parts = append(parts, "topic "+t.Topic)
	}
	if len(t.Filter) > 0 && t.Schedule == "" {
		parts = append(parts, short(filterText(t.Filter), 100))
	}
	if t.Paused {
		parts = append(parts, "paused")
	}
	if len(t.PausedKeys) > 0 {
		parts = append(parts, count(int64(len(t.PausedKeys)), "paused key"))
	}
	return strings.Join(parts, "  ")
}

// filterText is a pattern as people write it, without the escapes of JSON in HTML.
func filterText(filter json.RawMessage) string {
	var v any
	var b strings.Builder
	if json.Unmarshal(filter, &v) != nil || printLine(&b, v) != nil {
		return string(filter)
	}
	return strings.TrimSpace(b.String())
}
