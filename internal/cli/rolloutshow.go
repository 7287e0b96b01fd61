package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

func printRollout(w io.Writer, r *wire.Rollout) {
	fmt.Fprintf(w, "%s  versions %s of alias %s\n", r.Function, versionsOf(r), r.Alias)
	fmt.Fprintf(w, "strategy  %s: %s\n", r.Strategy, strings.Join(stepsOf(r), ", "))
	fmt.Fprintf(w, "gates     %s\nstate     %s\n", strings.Join(gatesOf(r), ", "), stateOf(r))
	if why := whyEnded(r); why != "" {
		for i, line := range wrapped(clean(why), noteWidth) {
			fmt.Fprintf(w, "%-9s %s\n", map[bool]string{true: "reason"}[i == 0], line)
		}
	}
	if r.By != nil {
		fmt.Fprintf(w, "%-9s %s\n", "by", clean(r.By.String()))
	}
	if r.EndedBy != nil {
		fmt.Fprintf(w, "%-9s %s\n", "ended by", clean(r.EndedBy.String()))
	}
	if len(r.Taken) == 0 {
		return
	}
	fmt.Fprintln(w)
	var rows []row
	for i := range r.Taken {
		rows = append(rows, stepRow(r, i))
	}
	table(w, []string{"AT", "NEW", "NEW RAN", "FAILED", "P95", "OLD RAN", "FAILED", "P95"}, rows)
	for _, s := range r.Taken {
		if s.Facts != nil && s.Facts.Shadow != nil {
			printCopies(w, s.Facts.Shadow)
		}
	}
}

// stepsOf are the steps of a roll-out, in words.
func stepsOf(r *wire.Rollout) []string {
	var parts []string
	if s := r.Shadow; s != nil {
		parts = append(parts, fmt.Sprintf("copies of %s for %s", s.Sample, s.For))
	}
	for _, s := range r.Steps {
		parts = append(parts, fmt.Sprintf("%s for %s", s, r.Every))
	}
	return append(parts, fmt.Sprintf("100%% for %s", r.Watch))
}

func gatesOf(r *wire.Rollout) []string {
	g := []string{"start within " + r.Gates.Start.String(), "errors +" + r.Gates.Errors.String()}
	if r.Gates.Latency > 0 {
		g = append(g, fmt.Sprintf("latency x%g", r.Gates.Latency))
	}
	if r.Shadow != nil {
		g = append(g, "differences "+r.Gates.Differences.String())
	}
	g = append(g, "from "+count(int64(r.Gates.Sample), "invocation")+" on")
	if r.Gates.Check != "" {
		g = append(g, "check by "+r.Gates.Check)
	}
	return g
}

// stepRow is the i-th step, with what it was judged by.
func stepRow(r *wire.Rollout, i int) row {
	s := &r.Taken[i]
	gets := strconv.Itoa(s.Weight) + "%"
	if r.Shadowing(i + 1) {
		gets = "copies"
	}
	one := cells(stamp(s.At), gets, "-", "-", "-", "-", "-", "-")
	if f := s.Facts; f != nil {
		old := number(f.Old.Invocations)
		if f.Before {
			old += " before"
		}
		one = cells(stamp(s.At), gets, number(f.New.Invocations), number(f.New.Errors), p95(f.New), old, number(f.Old.Errors), p95(f.Old))
	}
	switch few := tooFew(r, s); {
	case few != "":
		one.notes = []string{few}
	case s.Facts != nil && r.Gates.Latency > 0 && (s.Facts.New.P95 == 0 || s.Facts.Old.P95 == 0):
		one.notes = []string{"the latency is not judged: too few of one version succeeded without waiting for a start"}
	}
	return one
}

// tooFew says that a step has too few invocations to be judged; "" = it has enough, or nothing is known of it.
func tooFew(r *wire.Rollout, s *wire.RolloutStep) string {
	if s.Facts == nil || s.Facts.New.Invocations >= int64(r.Gates.Sample) {
		return ""
	}
	return fmt.Sprintf("too few to judge: %d of %d", s.Facts.New.Invocations, r.Gates.Sample)
}

// printCopies writes what copies came to, and where the first of them differ.
func printCopies(w io.Writer, f *function.ShadowFacts) {
	fmt.Fprintf(w, "\ncopies         %d\nsame           %d\ndifferent      %d\nnewly failing  %d\nnewly passing  %d\nnot made       %d\n",
		f.Compared, f.Compared-f.Different-f.NewlyFailing-f.NewlyPassing, f.Different, f.NewlyFailing, f.NewlyPassing, f.Dropped)
	for i := range f.Examples {
		e := &f.Examples[i]
		what := e.Request
		if what == "" {
			what = fmt.Sprintf("%s  %s/%d@%d  id %s", e.Event.Type, e.Event.Topic, e.Event.Partition, e.Event.Offset, e.Event.ID)
		}
		fmt.Fprintf(w, "\n%s: %s  run %s\n", kindOf(e.Kind), clean(what), e.Run)
		printPlaces(w, e.Changes)
	}
}

func p95(f function.RolloutFigures) string {
	if f.P95 == 0 {
		return "-"
	}
	return took(f.P95)
}
