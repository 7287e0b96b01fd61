package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// replayGlance is how often replay --wait looks whether the replay is over.
const replayGlance = 100 * time.Millisecond

func replayCommand(env *environment) *cobra.Command {
	var out output
	var req wire.ReplayRequest
	var filter, rate, to string
	var wait bool
	c := &cobra.Command{
		Use:   "replay FUNCTION/TRIGGER --from TIME [--to TIME] [--version N|ALIAS]",
		Short: "Run a stretch of history again, beside the live trigger, and compare",
		Long: `Run a stretch of history again on the version of your choice, beside the live trigger and without slowing it, and compare what
comes of it with the original runs: the same, different, newly failing, newly passing.

--output says what becomes of the events that the function returns: capture (default) keeps them in the report, publish appends
them as a live run's (with other ids), discard compares them and throws them away. What fails is tried again by the trigger's rules,
and is in the report; it never becomes a dead letter. The function sees by the event's attribute dalambreplay that it is a replay:
what it does outside of the log it does again.

The replay goes on by itself, also after a restart; dalamb replay show NAME tells how far it is and what came of it.`,
		Example: `  dalamb replay validate/on-requested --from 24h --dry-run
  dalamb replay validate/on-requested --from 2026-12-01T09:00:00Z --to 2026-12-01T10:00:00Z --version 4 --as check-4 --wait
  dalamb replay pay/on-validated --from 2h --failed-only --output publish`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if _, err := out.json(); err != nil {
				return err
			}
			if err := givenKey(c); err != nil {
				return err
			}
			var err error
			if req.Function, req.Trigger, err = triggerName(c, args[0]); err != nil {
				return err
			}
			text, err := argument(c, filter)
			if err != nil {
				return fmt.Errorf("read --filter: %w", err)
			}
			req.Filter, req.To = json.RawMessage(text), to
			if req.Rate, err = perSecond(rate); err != nil {
				return err
			}
			node, err := env.client()
			if err != nil {
				return err
			}
			r, err := node.StartReplay(c.Context(), req)
			if err == nil && wait && !req.DryRun {
				r, err = awaitReplay(c.Context(), node, r)
			}
			if err != nil {
				return err
			}
			return out.print(c.OutOrStdout(), r, func(w io.Writer) {
				switch {
				case req.DryRun:
					fmt.Fprintf(w, "%s of %s would run on version %d\n", events(&r), args[0], r.Version)
					printSample(w, r.Sample, r.Events)
				case wait:
					printReplay(w, &r)
				default:
					fmt.Fprintf(w, "replaying %s of %s on version %d as %s\ndalamb replay show %[4]s  tells what comes of it\n", events(&r), args[0], r.Version, r.Name)
				}
			})
		},
	}
	f := c.Flags()
	f.StringVar(&req.From, "from", "", "earliest, a time (2026-12-01T09:00:00Z or 2026-12-01), or how long ago (24h)")
	f.StringVar(&to, "to", "", "a time, or how long ago; default: now")
	f.StringVar(&filter, "filter", "", "only events that match this too: JSON, or @FILE, or -")
	f.StringVar(&req.Key, "key", "", "only events of this key")
	f.BoolVar(&req.FailedOnly, "failed-only", false, "only events whose run failed for good")
	f.StringVar(&req.Version, "version", "", "run this version: a number or an alias (default: live)")
	f.StringVar(&req.Name, "as", "", "name of the replay (default: the function's name and the time)")
	f.StringVar((*string)(&req.Output), "output", "capture", "what becomes of returned events: capture, publish or discard")
	f.StringVar(&rate, "rate", "", "runs a second, such as 50/s (default: as fast as idle slots allow)")
	f.BoolVar(&req.DryRun, "dry-run", false, "only count the events, and show the first")
	f.BoolVar(&wait, "wait", false, "wait for the end, and show the report")
	f.StringVarP(&out.format, "format", "o", "text", "text or json") // --output is taken here
	c.MarkFlagRequired("from")
	c.AddCommand(replayList(env), replayShow(env), replayCancel(env))
	return c
}

// perSecond reads a rate: 50, or 50/s.
func perSecond(text string) (float64, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseFloat(strings.TrimSuffix(text, "/s"), 64)
	if err != nil || !(n > 0) {
		return 0, fault.New(fault.Invalid, "--rate: %q is no rate", text).WithHint("write it as 50/s")
	}
	return n, nil
}

func awaitReplay(ctx context.Context, node *client.Client, r wire.Replay) (wire.Replay, error) {
	tick := time.NewTicker(replayGlance)
	defer tick.Stop()
	for r.State == wire.ReplayRunning {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return r, ctx.Err()
		}
		var err error
		if r, err = node.Replay(ctx, r.Name); err != nil {
			return r, err
		}
	}
	return r, nil
}

// events is how many events a replay is about, for people.
func events(r *wire.Replay) string {
	if r.AtLeast {
		return "at least " + count(r.Events, "event")
	}
	return count(r.Events, "event")
}

func replayList(env *environment) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use: "ls", Short: "List replays, the newest first", Long: "List replays, the newest first: those under way, and of each function the last hundred that are over.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if _, err := out.json(); err != nil {
				return err
			}
			node, err := env.client()
			if err != nil {
				return err
			}
			all, err := node.Replays(c.Context())
			if err != nil {
				return err
			}
			all = ofEnvironment(env, all, func(r *wire.Replay) string { return r.Function })
			return out.print(c.OutOrStdout(), all, func(w io.Writer) {
				if len(all) == 0 {
					fmt.Fprintln(c.ErrOrStderr(), "no replays; dalamb replay FUNCTION/TRIGGER --from TIME starts one")
					return
				}
				var rows []row
				for _, r := range all {
					p := r.Report
					rows = append(rows, cells(r.Name, r.Function+"/"+r.Trigger, strconv.Itoa(r.Version), r.State, fmt.Sprintf("%d/%d", p.Runs, r.Events),
						number(p.Same), number(p.Different), number(p.NewlyFailing), number(p.NewlyPassing), stamp(r.Started)))
				}
				table(w, []string{"REPLAY", "FUNCTION/TRIGGER", "VERSION", "STATE", "RUNS", "SAME", "DIFFERENT", "NEWLY FAILING", "NEWLY PASSING", "STARTED"}, rows)
			})
		},
	}
	out.flag(c)
	return c
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

func replayShow(env *environment) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use: "show NAME", Short: "Show a replay: how far it is, and what came of it beside the original runs", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return inquiry[wire.Replay]{func(node *client.Client) (wire.Replay, error) { return node.Replay(c.Context(), args[0]) }, printReplay}.run(c, env, &out)
		},
	}
	out.flag(c)
	return c
}

func replayCancel(env *environment) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use: "cancel NAME", Short: "End a replay before it is over", Long: "End a replay before it is over. What runs at that moment is finished; the report stays as it is.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return inquiry[wire.Replay]{func(node *client.Client) (wire.Replay, error) { return node.CancelReplay(c.Context(), args[0]) }, printReplay}.run(c, env, &out)
		},
	}
	out.flag(c)
	return c
}

func printReplay(w io.Writer, r *wire.Replay) {
	from := "the beginning"
	if !r.From.IsZero() {
		from = stamp(r.From)
	}
	fmt.Fprintf(w, "replay    %s\nstate     %s\ntrigger   %s/%s\nversion   %d\nevents    %s of %s, from %s to %s\noutput    %s\n",
		r.Name, r.State, r.Function, r.Trigger, r.Version, events(r), r.Topic, from, stamp(r.To), r.Output)
	var narrow []string
	if len(r.Filter) > 0 {
		narrow = append(narrow, "filter "+jsonLine(r.Filter))
	}
	if r.Key != "" {
		narrow = append(narrow, "key "+clean(r.Key))
	}
	if r.FailedOnly {
		narrow = append(narrow, "those that failed")
	}
	if narrow != nil {
		fmt.Fprintf(w, "only      %s\n", strings.Join(narrow, ", "))
	}
	p := r.Report
	printVerdicts(w, p)
	var rows []row
	for _, l := range []struct {
		what string
		l    function.ReplayLatency
	}{{"original", p.Original}, {"replayed", p.Replayed}} {
		rows = append(rows, cells(l.what, took(l.l.P50), took(l.l.P90), took(l.l.P99), took(l.l.Max)))
	}
	table(w, []string{"TOOK", "HALF", "90 %", "99 %", "LONGEST"}, rows)
	for _, d := range p.Differences {
		printDifference(w, &d)
	}
}

// printVerdicts counts the runs of a report.
func printVerdicts(w io.Writer, p *function.ReplayReport) {
	fmt.Fprintf(w, "\nruns           %d, %d of them failing\nsame           %d\ndifferent      %d\nnewly failing  %d\nnewly passing  %d\nno original    %d\n",
		p.Runs, p.Failing, p.Same, p.Different, p.NewlyFailing, p.NewlyPassing, p.NoOriginal)
	if p.NotComparable > 0 {
		fmt.Fprintf(w, "not comparable %d, of events that they emitted the data is not kept: only topics, types and keys are known to be the same\n", p.NotComparable)
	}
	if p.NotRun > 0 {
		fmt.Fprintf(w, "not run        %d\n", p.NotRun)
	}
	fmt.Fprintln(w)
}

func printDifference(w io.Writer, d *function.ReplayDifference) {
	fmt.Fprintf(w, "\n%s: %s  %s/%d@%d  id %s\n", kindOf(d.Kind), clean(d.Event.Type), d.Event.Topic, d.Event.Partition, d.Event.Offset, clean(d.Event.ID))
	printPlaces(w, d.Changes)
	if d.Note != "" {
		fmt.Fprintf(w, "  %s\n", d.Note)
	}
}

// printPlaces writes where two answers differ.
func printPlaces(w io.Writer, changes []function.ReplayChange) {
	for _, c := range changes {
		fmt.Fprintf(w, "  %s\n", clean(c.Path))
		if c.Before != nil {
			fmt.Fprintf(w, "    - %s\n", short(jsonLine(c.Before), noteWidth))
		}
		if c.After != nil {
			fmt.Fprintf(w, "    + %s\n", short(jsonLine(c.After), noteWidth))
		}
	}
}

// kindOf is a kind of difference in words.
func kindOf(kind string) string {
	return map[string]string{
		function.ReplayDifferent: "different", function.ReplayNewlyFailing: "newly failing", function.ReplayNewlyPassing: "newly passing",
	}[kind]
}
