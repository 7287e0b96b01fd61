package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/bisect"
	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// bisection is what dalamb bisect is asked.
type bisection struct {
	env            *environment
	out            output
	good, bad      string
	events, traces []string
	check          string
}

func bisectCommand(env *environment) *cobra.Command {
	b := bisection{env: env}
	c := &cobra.Command{
		Use:   "bisect FUNCTION --good TIME|VERSION --bad TIME|VERSION --event ID|--trace ID",
		Short: "Find the version that changed an outcome, by running captured events again",
		Long: `Find the version of a function that changed what comes of events: they run again on versions between a good and a bad one, half of which are left out each time. What the
function returns is captured and not published; what it does outside of the log it does again, and it sees by dalambreplay that it is a replay. A time means the version
that was live then. --event names events, or runs, --trace all events of a tree that the function ran; both may be repeated.

Without --check a version is good on which every run comes to what it comes to on the good one. A check is a command for sh, which gets what came of the events as JSON on its
standard input, {"function", "version", "runs": [{"event", "state", "result", "captured", "attempts", ...}]}: exit code 0 says good, 125 that it cannot be told, any
other below 128 bad; from 128 on the search ends. DALAMB_VERSION is the version's number.

Versions that were removed are left out, and told. docs/incidents.md.`,
		Example: `  dalamb bisect validate --good 1 --bad live --event o-17
  dalamb bisect validate --good 9:00 --bad 14:05 --trace 0af7651916cd43dd8448eb211c80319c --check "jq -e '.runs[0].captured[0].data.total == 9'"`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return b.run(c, args[0]) },
	}
	f := c.Flags()
	f.StringVar(&b.good, "good", "", "a version, by number or alias, or a `TIME`, where the outcome was right")
	f.StringVar(&b.bad, "bad", "", "the same where it was wrong")
	f.StringArrayVar(&b.events, "event", nil, "run this event again: the `ID` of it or of a run, or TOPIC/PARTITION@OFFSET")
	f.StringArrayVar(&b.traces, "trace", nil, "run the events again that the function ran in the tree of this `ID`")
	f.StringVar(&b.check, "check", "", "what says of a version whether it is good: a `COMMAND` for sh")
	for _, name := range []string{"good", "bad"} {
		_ = c.MarkFlagRequired(name) // they are there
	}
	b.out.flag(c)
	return c
}

func (b *bisection) run(c *cobra.Command, fn string) error {
	asJSON, err := b.out.json()
	if err != nil {
		return err
	}
	if len(b.events)+len(b.traces) == 0 {
		return usageError{c.CommandPath(), errors.New("no events are named: --event ID or --trace ID")}
	}
	node, err := b.env.client()
	if err != nil {
		return err
	}
	o := bisect.Options{Node: node, Function: fn, Name: replayName(fn)}
	if o.Good, err = versionThen(c.Context(), node, fn, "--good", b.good); err != nil {
		return err
	}
	if o.Bad, err = versionThen(c.Context(), node, fn, "--bad", b.bad); err != nil {
		return err
	}
	if o.Events, err = b.captured(c.Context(), node, fn); err != nil {
		return err
	}
	if b.check != "" {
		o.Check = func(ctx context.Context, out *bisect.Outcome) (bisect.Verdict, error) { return b.ask(ctx, c, out) }
	}
	w := c.OutOrStdout()
	if asJSON {
		w = c.ErrOrStderr()
	}
	fmt.Fprintf(w, "%s on versions %d to %d of %s\n", count(int64(len(o.Events)), "event"), o.Good, o.Bad, fn)
	o.Tell = func(s bisect.Step) {
		why := ""
		if s.Why != "" {
			why = ": " + clean(s.Why)
		}
		fmt.Fprintf(w, "version %-5d %s%s\n", s.Version, s.Verdict, why)
	}
	found, err := bisect.Run(c.Context(), o)
	if err != nil {
		return err
	}
	return b.out.print(c.OutOrStdout(), found, func(w io.Writer) { printFound(w, found) })
}

// replayName begins the names of the replays of one search; they are told apart by the time.
func replayName(fn string) string {
	return "bisect-" + strings.ReplaceAll(fn[:min(len(fn), 20)], ".", "-") + "-" + strconv.FormatInt(time.Now().UnixMilli(), 36)
}

// versionThen is the version that a number or an alias names, or that was live at a time.
func versionThen(ctx context.Context, node *client.Client, fn, flag, text string) (int, error) {
	if _, err := strconv.Atoi(text); err == nil || function.CheckAlias(text) == nil {
		return versionNamed(ctx, node, fn, text)
	}
	at, err := clockTime(flag, text, time.Now())
	if err != nil {
		return 0, err
	}
	past, err := node.Past(ctx, at, fn)
	if err != nil {
		return 0, err
	}
	for _, f := range past.Functions {
		for _, a := range f.Aliases {
			if a.Name == function.LiveAlias {
				return a.Primary, nil
			}
		}
	}
	return 0, fault.New(fault.NotFound, "%s %s: function %s had no live version then", flag, text, fn).WithHint("dalamb history --function %s shows since when it has", fn)
}

// captured are the events that are named, with the trigger of the function that wanted each.
func (b *bisection) captured(ctx context.Context, node *client.Client, fn string) (all []bisect.Event, err error) {
	add := func(e bisect.Event) {
		if !slices.Contains(all, e) {
			all = append(all, e)
		}
	}
	for _, id := range b.events {
		e, err := node.Explanation(ctx, id, "")
		if err != nil {
			return nil, err
		}
		found := false
		for _, w := range e.Wanted {
			if w.Function == fn {
				found = true
				add(bisect.Event{Trigger: w.Trigger, Topic: e.Event.Topic, Partition: e.Event.Partition, Offset: e.Event.Offset})
			}
		}
		if !found {
			return nil, fault.New(fault.NotFound, "no trigger of %s wanted event %s", fn, fault.Clip(id)).
				WithHint("dalamb explain %s says who did; what came to a route is no event that can run again so", fault.Clip(id))
		}
	}
	for _, id := range b.traces {
		t, err := node.Trace(ctx, id, "")
		if err != nil {
			return nil, err
		}
		before := len(all)
		if err := eventsRun(t.Roots, fn, add); err != nil {
			return nil, err
		}
		if len(all) == before {
			return nil, fault.New(fault.NotFound, "no trigger of %s ran in trace %s", fn, fault.Clip(id)).WithHint("dalamb trace %s shows which did", fault.Clip(id))
		}
	}
	return all, nil
}

// eventsRun finds the events of a tree that a function ran.
func eventsRun(nodes []wire.TraceNode, fn string, add func(bisect.Event)) error {
	for _, n := range nodes {
		for _, below := range n.Below {
			trigger, ok := strings.CutPrefix(below.Name, fn+"/")
			if below.Kind != "run" || !ok {
				continue
			}
			topic, at, _ := strings.Cut(n.At, "/")
			partition, offset, _ := strings.Cut(at, "@")
			p, err := strconv.ParseInt(partition, 10, 32)
			if err != nil {
				return fmt.Errorf("read where event %s is: %w", n.ID, err)
			}
			o, err := strconv.ParseInt(offset, 10, 64)
			if err != nil {
				return fmt.Errorf("read where event %s is: %w", n.ID, err)
			}
			add(bisect.Event{Trigger: trigger, Topic: topic, Partition: int32(p), Offset: o})
		}
		if err := eventsRun(n.Below, fn, add); err != nil {
			return err
		}
	}
	return nil
}

// Exit codes of a check, as those of git bisect run.
const (
	checkSkips = 125
	checkEnds  = 128
)

// ask runs the check. What it prints goes to standard error.
func (b *bisection) ask(ctx context.Context, c *cobra.Command, o *bisect.Outcome) (bisect.Verdict, error) {
	text, err := json.Marshal(o)
	if err != nil {
		return "", fmt.Errorf("encode the outcome: %w", err)
	}
	cmd := exec.CommandContext(ctx, "sh", "-c", b.check)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(text), c.ErrOrStderr(), c.ErrOrStderr()
	cmd.Env = append(cmd.Environ(), "DALAMB_VERSION="+strconv.Itoa(o.Version))
	err = cmd.Run()
	exit := (*exec.ExitError)(nil)
	switch {
	case err == nil:
		return bisect.Good, nil
	case ctx.Err() != nil:
		return "", ctx.Err()
	case !errors.As(err, &exit):
		return "", fmt.Errorf("run the check: %w", err)
	case exit.ExitCode() == checkSkips:
		return bisect.Skip, nil
	case exit.ExitCode() < 0 || exit.ExitCode() >= checkEnds:
		return "", fault.New(fault.Invalid, "the check ended with %v on version %d, which says nothing of the version", exit, o.Version).WithHint("0 is good, 125 cannot be told, any other below 128 is bad")
	}
	return bisect.Bad, nil
}

func printFound(w io.Writer, f *bisect.Found) {
	fmt.Fprintf(w, "\nversion %d of %s is the first that is bad, version %d the last that is good\n", f.Bad.Number, f.Function, f.Good)
	if len(f.Between) > 0 {
		fmt.Fprintf(w, "of %s between them it cannot be told: the change may be theirs\n", listed(versionNames(f.Between)))
	}
	if len(f.Gone) > 0 {
		fmt.Fprintf(w, "removed, and so not tried: %s\n", listed(versionNames(f.Gone)))
	}
	fmt.Fprintf(w, "deployed  %s\n", f.Bad.Created.Local().Format("2006-01-02 15:04:05"))
	if f.Bad.By != nil {
		fmt.Fprintf(w, "by        %s\n", clean(f.Bad.By.String()))
	}
	if o := f.Bad.Origin; o != nil {
		fmt.Fprintf(w, "from      %s\n", clean(o.String()))
	}
	if f.Diff != nil {
		fmt.Fprintf(w, "\ndalamb diff %s %d %d\n", f.Function, f.Good, f.Bad.Number)
		printDiff(w, f.Diff)
	}
}

func versionNames(numbers []int) (names []string) {
	for _, n := range numbers {
		names = append(names, fmt.Sprintf("version %d", n))
	}
	return names
}
