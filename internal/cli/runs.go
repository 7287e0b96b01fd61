package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

func runsCommand(env *environment) *cobra.Command {
	var out output
	var q client.RunQuery
	var state, since string
	var limit int
	c := &cobra.Command{
		Use:   "runs [--function F] [--state S]",
		Short: "List runs: what became of events on triggers",
		Long: `List runs, newest first. A run is all attempts at one event on one trigger; its state is retrying, succeeded, dead, discarded or
expired.

` + exitHelp,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if _, err := out.json(); err != nil {
				return err
			}
			q.State = function.RunState(state)
			var err error
			if q.Since, err = moment(since); err != nil {
				return err
			}
			node, err := env.client()
			if err != nil {
				return err
			}
			runs := []function.Run{}
			for len(runs) < limit {
				q.Limit = min(limit-len(runs), 1000)
				page, err := node.Runs(c.Context(), q)
				if err != nil {
					return err
				}
				runs = append(runs, page.Runs...)
				if q.After = page.Next; q.After == "" {
					break
				}
			}
			return out.print(c.OutOrStdout(), runs, func(w io.Writer) {
				var rows [][]string
				for _, r := range runs {
					rows = append(rows, runRow(&r))
				}
				table(w, runHead, rows)
			})
		},
	}
	f := c.Flags()
	f.StringVar(&q.Function, "function", "", "only of this function")
	f.StringVar(&q.Trigger, "trigger", "", "only of triggers of this name")
	f.StringVar(&state, "state", "", "only in this state: retrying, succeeded, dead, discarded, expired")
	f.StringVar(&q.Event, "event", "", "only of the event with this id")
	f.StringVar(&since, "since", "", "only since this time, or how long ago (15m)")
	f.IntVar(&limit, "limit", 100, "at most so many")
	out.flag(c)
	c.AddCommand(runsShow(env))
	return c
}

var runHead = []string{"RUN", "STATE", "FUNCTION/TRIGGER", "EVENT", "SUBJECT", "ATTEMPTS", "FINISHED", "WHY"}

func runRow(r *function.Run) []string {
	why := r.Reason
	if n := len(r.Attempts); n > 0 && r.Attempts[n-1].Failure != nil {
		why = r.Attempts[n-1].Failure.Message
	}
	return []string{
		r.ID, string(r.State), r.Function + "/" + r.Trigger, r.Event.Type, orDash(r.Event.Subject),
		strconv.Itoa(len(r.Attempts)), stamp(r.Finished), short(orDash(why), 60),
	}
}

func runsShow(env *environment) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use: "show ID", Short: "Show a run: its event, its attempts and errors, what it emitted", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			node, err := env.client()
			if err != nil {
				return err
			}
			r, err := node.Run(c.Context(), args[0])
			if err != nil {
				return err
			}
			return out.print(c.OutOrStdout(), r, func(w io.Writer) { printRun(w, &r) })
		},
	}
	out.flag(c)
	return c
}

func printRun(w io.Writer, d *wire.RunDetail) {
	r := &d.Run
	fmt.Fprintf(w, "run       %s\nstate     %s\nfunction  %s\ntrigger   %s\nevent     %s  %s/%d@%d  id %s\n", r.ID, r.State, r.Function, r.Trigger,
		clean(r.Event.Type), r.Event.Topic, r.Event.Partition, r.Event.Offset, clean(r.Event.ID))
	if r.Reason != "" {
		fmt.Fprintf(w, "reason    %s\n", clean(r.Reason))
	}
	if r.RedriveOf != "" {
		fmt.Fprintf(w, "redrive   of %s\n", r.RedriveOf)
	}
	for _, e := range r.Emitted {
		fmt.Fprintf(w, "emitted   %s  to %s  id %s\n", clean(e.Type), e.Topic, e.ID)
	}
	switch {
	case len(r.Result) > 0:
		fmt.Fprintf(w, "result    %s\n", short(string(r.Result), 400))
	case len(r.ResultRaw) > 0:
		fmt.Fprintf(w, "result    %s\n", short(string(r.ResultRaw), 400))
	}
	fmt.Fprintln(w)
	printAttempts(w, r.Attempts)
	if len(d.Event) > 0 {
		fmt.Fprintf(w, "\n%s\n", indented(d.Event))
	}
}

func printAttempts(w io.Writer, attempts []function.Attempt) {
	var rows [][]string
	for _, a := range attempts {
		why := "-"
		if a.Failure != nil {
			why = strings.TrimPrefix(a.Failure.Type+": "+a.Failure.Message, ": ")
		}
		rows = append(rows, []string{strconv.Itoa(a.Number), strconv.Itoa(a.Version), string(a.Outcome), stamp(a.Start), a.Duration.String(), short(why, 160)})
	}
	table(w, []string{"ATTEMPT", "VERSION", "OUTCOME", "START", "TOOK", "ERROR"}, rows)
}

// indented is JSON for people; bytes that are no JSON stay as they are.
func indented(raw []byte) string {
	var b bytes.Buffer
	if json.Indent(&b, raw, "", "  ") != nil {
		return clean(string(raw))
	}
	return b.String()
}
