package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"text/tabwriter"
	"time"
)

// table is what is printed, and what BENCH_OUT gets.
type table struct {
	Time    time.Time `json:"time"`
	System  string    `json:"system"`
	Cores   int       `json:"cores"`
	Go      string    `json:"go"`
	Load    string    `json:"load,omitempty"`  // average of the minute before
	Turns   int       `json:"turns,omitempty"` // at most; 0 = as many as each row has
	Seconds float64   `json:"seconds"`         // that all of it took
	Lines   []line    `json:"lines"`
	Notes   []string  `json:"notes,omitempty"`
}

// line is one figure and its yardstick.
type line struct {
	Row       string  `json:"row"`
	Case      string  `json:"case"`
	Unit      string  `json:"unit"`
	Value     float64 `json:"value"` // median of the turns
	Yardstick string  `json:"yardstick"`
	Of        float64 `json:"of"`    // the yardstick's median, in the same unit
	Ratio     spread  `json:"ratio"` // value : yardstick, turn by turn
	Target    *target `json:"target,omitempty"`
	Met       *bool   `json:"met,omitempty"`
}

// target is where a line should land.
type target struct {
	Value  bool    `json:"value,omitempty"` // it is about the value; else about the ratio
	AtMost bool    `json:"atMost"`          // else at least
	Bound  float64 `json:"bound"`
}

func ratioAtMost(x float64) *target  { return &target{AtMost: true, Bound: x} }
func ratioAtLeast(x float64) *target { return &target{Bound: x} }
func valueAtMost(x float64) *target  { return &target{Value: true, AtMost: true, Bound: x} }
func valueAtLeast(x float64) *target { return &target{Value: true, Bound: x} }

func newTable() table {
	return table{Time: time.Now().UTC(), System: runtime.GOOS + "/" + runtime.GOARCH, Cores: runtime.NumCPU(), Go: runtime.Version(), Load: loadAverage()}
}

func (l *line) judge() {
	if l.Target == nil {
		return
	}
	got := l.Ratio.Median
	if l.Target.Value {
		got = l.Value
	}
	met := got >= l.Target.Bound
	if l.Target.AtMost {
		met = got <= l.Target.Bound
	}
	l.Met = &met
}

func (l *line) target() string {
	if l.Target == nil {
		return ""
	}
	sign, bound := ">=", fmt.Sprintf("%gx", l.Target.Bound)
	if l.Target.AtMost {
		sign = "<="
	}
	if l.Target.Value {
		bound = figure(l.Target.Bound, l.Unit)
	}
	return sign + " " + bound
}

func (l *line) met() string {
	switch {
	case l.Met == nil:
		return ""
	case *l.Met:
		return "yes"
	}
	return "NO"
}

func (t *table) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s, %d cores, %s, %s, load average %s before, %.0f s\n\n", t.System, t.Cores, t.Go, t.Time.Format(time.DateTime), cmp.Or(t.Load, "unknown"), t.Seconds)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "row\tcase\tmeasured\tyardstick\t\tratio\tmiddle half\ttarget\tmet")
	for _, l := range t.Lines {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%.2fx\t%.2f-%.2f\t%s\t%s\n", l.Row, l.Case, figure(l.Value, l.Unit),
			figure(l.Of, l.Unit), l.Yardstick, l.Ratio.Median, l.Ratio.Low, l.Ratio.High, cmp.Or(l.target(), "-"), cmp.Or(l.met(), "-"))
	}
	tw.Flush()
	if len(t.Notes) > 0 {
		fmt.Fprintln(w)
	}
	for _, n := range t.Notes {
		fmt.Fprintln(w, n)
	}
}

// figure prints three digits that matter.
func figure(v float64, unit string) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.2f M %s", v/1e6, unit)
	case v >= 1e4:
		return fmt.Sprintf("%.0f k %s", v/1e3, unit)
	case v >= 1e3:
		return fmt.Sprintf("%.1f k %s", v/1e3, unit)
	case v >= 100:
		return fmt.Sprintf("%.0f %s", v, unit)
	case v >= 10:
		return fmt.Sprintf("%.1f %s", v, unit)
	}
	return fmt.Sprintf("%.2f %s", v, unit)
}

func (t *table) write(file string) error {
	text, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the table: %w", err)
	}
	if err := os.WriteFile(file, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the table: %w", err)
	}
	return nil
}
