package cli

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
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
expired.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if _, err := out.json(); err != nil {
				return err
			}
			if err := atLeast(c, "limit", limit, 1); err != nil {
				return err
			}
			q.State, q.Env = function.RunState(state), env.env
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
			if len(runs) == 0 && q.Function != "" {
				if _, err := node.Function(c.Context(), q.Function); err != nil {
					return err
				}
			}
			return out.print(c.OutOrStdout(), runs, func(w io.Writer) {
				if len(runs) == 0 {
					fmt.Fprintln(c.ErrOrStderr(), "no such runs. A run is listed when its first attempt is over; dalamb functions shows what listens and how many events wait (LAG), dalamb events what happened")
					return
				}
				var rows []row
				for _, r := range runs {
					line := runRow(&r)
					line.cells = slices.Insert(line.cells, 1, string(r.State))
					rows = append(rows, line)
				}
				table(w, slices.Insert(slices.Clone(runHead()), 1, "STATE"), rows)
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
	c.AddCommand(runsCount(env), runsShow(env))
	return c
}

// runHead names the columns of runRow. Both leave the state to lists that mix states.
func runHead() []string {
	return []string{"RUN", "FUNCTION/TRIGGER", "EVENT", "KEY", "TRIES", "FINISHED"}
}

// runRow is a run in a list, with what went wrong last below it.
func runRow(r *function.Run) row {
	line := cells(r.ID, short(r.Function+"/"+r.Trigger, 24), short(r.Event.Type, 24), short(orDash(cmp.Or(r.Event.Key, r.Event.Subject)), 16),
		strconv.Itoa(len(r.Attempts)), stamp(r.Finished))
	why := r.Reason
	if n := len(r.Attempts); n > 0 && r.Attempts[n-1].Failure != nil && r.State != function.RunSucceeded {
		why = failureText(r.Attempts[n-1].Failure)
	}
	if why != "" {
		line.notes = []string{short(why, 2*noteWidth)}
	}
	if end, ok := settled(r); ok && why != r.Reason {
		line.notes = append(line.notes, short(end, noteWidth))
	}
	return line
}

// settled says what became of a dead letter that is one no more.
func settled(r *function.Run) (string, bool) {
	i := strings.Index(r.Reason, function.ReasonResolved)
	if r.State != function.RunDead || i < 0 {
		return "", false
	}
	return r.Reason[i:], true
}

func failureText(f *function.Failure) string {
	return strings.TrimPrefix(f.Type+": "+f.Message, ": ")
}

func runsShow(env *environment) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use: "show ID", Short: "Show a run: its event, attempts, errors, result, and what it emitted", Args: cobra.ExactArgs(1),
		Long: `Show a run: its event, attempts, errors, result, and what it emitted. Of the ID the first characters are enough, four at least, where no
other run's begins so.`,
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
	if s := r.Sent; s != nil && s.Error == "" {
		fmt.Fprintf(w, "sent      to %s  id %s\n", &s.Destination, s.ID)
	} else if s != nil {
		fmt.Fprintf(w, "not sent  to %s: %s\n", &s.Destination, clean(s.Error))
	}
	switch {
	case len(r.Result) > 0:
		fmt.Fprintf(w, "result    %s\n", short(string(r.Result), 400))
	case len(r.ResultRaw) > 0:
		fmt.Fprintf(w, "result    %s\n", short(string(r.ResultRaw), 400))
	}
	fmt.Fprintln(w)
	printAttempts(w, d)
	if len(d.Event) > 0 {
		fmt.Fprintf(w, "\n%s\n", indented(d.Event))
	}
}

func printAttempts(w io.Writer, d *wire.RunDetail) {
	var rows []row
	for i, a := range d.Run.Attempts {
		line := cells(strconv.Itoa(a.Number), strconv.Itoa(a.Version), string(a.Outcome), stamp(a.Start), "warm", took(a.Duration))
		switch {
		case a.Start.IsZero(): // its node was killed; nobody wrote down more
			line = cells(strconv.Itoa(a.Number), "-", string(a.Outcome), "-", "-", "-")
		case a.Cold:
			line.cells[4] = "cold"
		case a.Duration == 0: // it did not come to an instance
			line.cells[4] = "-"
		}
		if v := slices.IndexFunc(d.Versions, func(v wire.RunVersion) bool { return v.Number == a.Version }); v >= 0 && (i == 0 || d.Run.Attempts[i-1].Version != a.Version) {
			line.notes = append(line.notes, fmt.Sprintf("version %d is from %s", a.Version, d.Versions[v].Origin))
		}
		if a.Failure != nil {
			line.notes = append(line.notes, short(failureText(a.Failure), 1000))
		}
		if a.Note != "" {
			line.notes = append(line.notes, a.Note)
		}
		switch {
		case a.Split:
			line.notes = append(line.notes, fmt.Sprintf("with a batch of %d, whose halves are tried: it does not count towards retry.attempts", a.Batch))
		case a.Batch > 1:
			line.notes = append(line.notes, fmt.Sprintf("with a batch of %d", a.Batch))
		}
		rows = append(rows, line)
	}
	table(w, []string{"ATTEMPT", "VERSION", "OUTCOME", "BEGAN", "START", "TOOK"}, rows)
}

// indented is JSON for people; bytes that are no JSON stay as they are.
func indented(raw []byte) string {
	var b bytes.Buffer
	if json.Indent(&b, raw, "", "  ") != nil {
		return clean(string(raw))
	}
	return b.String()
}
