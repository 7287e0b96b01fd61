package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

func functionsCommand(env *environment) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use:   "functions [NAME]",
		Short: "List functions, or show one",
		Long: `List functions, or show one with its versions, aliases, triggers and instances. LIVE is the version that triggers and routes use,
LAG how many events its triggers have not finished.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			node, err := env.client()
			if err != nil {
				return err
			}
			if len(args) == 1 {
				f, err := node.Function(c.Context(), args[0])
				if err != nil {
					return err
				}
				return out.print(c.OutOrStdout(), f, func(w io.Writer) { printFunction(w, &f) })
			}
			fs, err := node.Functions(c.Context())
			if err != nil {
				return err
			}
			fs = ofEnvironment(env, fs, func(f *wire.FunctionSummary) string { return f.Name })
			return out.print(c.OutOrStdout(), fs, func(w io.Writer) {
				if len(fs) == 0 {
					fmt.Fprintln(c.ErrOrStderr(), "no functions; dalamb deploy DIR makes those that DIR/dalamb.yaml declares")
					return
				}
				var rows []row
				for _, f := range fs {
					rows = append(rows, cells(
						f.Name, strconv.Itoa(f.Version), string(f.Entry), strconv.Itoa(f.Triggers), strconv.Itoa(f.Instances),
						lagText(f.Lag, f.LagPartial), isolation(f.Isolated, f.Lacks), stamp(f.Created),
					))
				}
				table(w, []string{"NAME", "LIVE", "ENTRY", "TRIGGERS", "INSTANCES", "LAG", "ISOLATION", "DEPLOYED"}, rows)
				warnOfFences(c.ErrOrStderr(), fs)
				for _, f := range fs {
					warnOfTroubles(c.ErrOrStderr(), f.Troubles, time.Now())
				}
			})
		},
	}
	out.flag(c)
	return c
}

func isolation(isolated bool, lacks []string) string {
	switch {
	case !isolated:
		return "NONE"
	case len(lacks) > 0:
		return "PARTIAL"
	}
	return "isolated"
}

func printFunction(w io.Writer, f *wire.Function) {
	fmt.Fprintf(w, "%s  (%s)\n", f.Name, isolation(f.Isolated, f.Lacks))
	if len(f.Lacks) > 0 {
		fmt.Fprintf(w, "  warning: its fence lacks %s; dalamb doctor says why\n", strings.Join(f.Lacks, ", "))
	}
	if f.Error != "" {
		fmt.Fprintf(w, "  cannot run on this node: %s\n", f.Error)
	}
	warnOfTroubles(w, f.Troubles, time.Now())
	for _, a := range f.Aliases {
		fmt.Fprintf(w, "  alias %s -> version %s\n", a.Name, aliasText(&a))
	}
	for _, o := range f.Follows {
		fmt.Fprintf(w, "  alias %s follows %s\n", o.Alias, o.Image)
		if o.Error != "" {
			fmt.Fprintf(w, "    its newest push made no version: %s\n", o.Error)
		}
	}
	fmt.Fprintln(w)
	var rows []row
	for i := range f.Versions {
		v := &f.Versions[i]
		r := cells(strconv.Itoa(v.Number), string(v.Spec.Entry.Type), short(strings.Join(v.Spec.Entry.Command, " "), 40), madeOf(v), stamp(v.Created))
		if v.Spec.Runner != "" {
			r.notes = []string{"runner " + v.Spec.Runner}
		}
		if v.Origin != nil {
			r.notes = append(r.notes, "from "+v.Origin.String())
		}
		if v.Built != nil {
			r.notes = append(r.notes, builtNote(v.Built))
		}
		rows = append(rows, r)
	}
	table(w, []string{"VERSION", "ENTRY", "COMMAND", "CODE OR IMAGE", "CREATED"}, rows)
	fmt.Fprintln(w)
	rows = nil
	for _, t := range f.Triggers {
		lag, state := "-", "on"
		if t.Lag != nil {
			lag = lagText(*t.Lag, t.LagPartial)
		}
		switch {
		case t.Paused:
			state = "paused"
		case t.Error != "":
			state = "cannot run: " + t.Error
		case t.PausedKeys > 0:
			state = "on, " + count(int64(t.PausedKeys), "key") + " paused"
		}
		if t.Lost > 0 {
			state += "; retention took " + count(t.Lost, "offset") + " before their turn"
		}
		r := cells(t.Name, listensTo(t.Trigger), orDash(string(t.Order)), lag, state)
		if len(t.Filter) > 0 && t.Topic != function.TopicInvoke && t.Schedule == "" {
			r.notes = []string{"filter " + jsonLine(t.Filter)}
		}
		rows = append(rows, r)
	}
	table(w, []string{"TRIGGER", "LISTENS TO", "ORDER", "LAG", "STATE"}, rows)
	if len(f.Instances) == 0 {
		return
	}
	fmt.Fprintln(w)
	rows = nil
	for _, i := range f.Instances {
		memory := "-"
		if i.MemoryKB > 0 {
			memory = bytesText(i.MemoryKB << 10)
		}
		rows = append(rows, cells(i.ID, strconv.Itoa(i.Version), i.State, strconv.FormatInt(i.Runs, 10), memory, stamp(i.Started)))
	}
	table(w, []string{"INSTANCE", "VERSION", "STATE", "RUNS", "PEAK MEMORY", "STARTED"}, rows)
}

// madeOf is the code of a version, its image, or both.
func madeOf(v *function.Version) string {
	var parts []string
	if v.Code != "" {
		parts = append(parts, short(v.Code, 19))
	}
	if v.Image != nil {
		parts = append(parts, short(v.Image.Reference, 60)+" = "+short(v.Image.Digest, 19))
	}
	return strings.Join(parts, " on ")
}

func listensTo(t function.Trigger) string {
	switch {
	case t.Route != nil:
		return t.Route.Text()
	case t.Topic == function.TopicInvoke:
		return "asynchronous calls"
	case t.Schedule != "":
		return timesOf(t.Schedule, t.Timezone)
	}
	return t.Topic
}

func removeCommand(env *environment) *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "remove NAME [--yes]",
		Short: "Remove a function, its versions, triggers and their progress",
		Long: `Remove a function with its versions, triggers and their progress. What it did stays in the log; events that waited
for it end as discarded. A function of the same name that is deployed later is a new one: its triggers start at the end of the log.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			node, err := env.client()
			if err != nil {
				return err
			}
			if !yes {
				list, err := node.Versions(c.Context(), args[0])
				if err != nil {
					return err
				}
				if err := confirm(c, fmt.Sprintf("remove function %s with %s", args[0], count(int64(len(list.Versions)), "version"))); err != nil {
					return err
				}
			}
			gone, err := node.Remove(c.Context(), args[0])
			if err != nil {
				return err
			}
			switch gone.Waiting {
			case 0:
				fmt.Fprintf(c.OutOrStdout(), "removed %s\n", gone.Function)
			case 1:
				fmt.Fprintf(c.OutOrStdout(), "removed %s; 1 event that waited ends as discarded\n", gone.Function)
			default:
				fmt.Fprintf(c.OutOrStdout(), "removed %s; %d events that waited end as discarded\n", gone.Function, gone.Waiting)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "do it without asking")
	return c
}

func triggerCommand(env *environment) *cobra.Command {
	c := &cobra.Command{Use: "trigger", Short: "List, pause and resume triggers", Args: cobra.NoArgs}
	c.AddCommand(triggerListCommand(env))
	for _, verb := range []struct {
		name, short string
		call        func(*client.Client, context.Context, string, string) error
	}{
		{"pause", "Pause a trigger: events wait in the log", (*client.Client).PauseTrigger},
		{"resume", "Let a paused trigger go on where it stopped", (*client.Client).ResumeTrigger},
	} {
		sub := &cobra.Command{
			Use: verb.name + " FUNCTION/TRIGGER", Short: verb.short, Long: verb.short + ".", Args: cobra.ExactArgs(1),
			RunE: func(c *cobra.Command, args []string) error {
				fn, trigger, node, err := env.trigger(c, args[0])
				if err != nil {
					return err
				}
				if err := verb.call(node, c.Context(), fn, trigger); err != nil {
					return err
				}
				fmt.Fprintf(c.OutOrStdout(), "%sd %s\n", verb.name, args[0])
				return nil
			},
		}
		c.AddCommand(sub)
	}
	return c
}
