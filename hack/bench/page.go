package main

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"time"
)

// The page has a place for each row that it shows, between these lines; what stands there is of the last run that measured the row.
const (
	placeBegin = "<!-- written by: make bench ARGS=%s BENCH_PAGE=%s -->\n"
	placeEnd   = "<!-- end -->\n"
)

// page puts the rows of the table into the places that the page of that text has for them.
func (t *table) page(file, text string) string {
	for _, row := range t.rows() {
		begin := fmt.Sprintf(placeBegin, row, file)
		before, rest, ok := strings.Cut(text, begin)
		_, after, closed := strings.Cut(rest, placeEnd)
		if ok && closed {
			text = before + begin + t.markdown(row) + placeEnd + after
		}
	}
	return text
}

// rows are the names of those that were measured, in their order.
func (t *table) rows() (names []string) {
	for _, l := range t.Lines {
		if len(names) == 0 || names[len(names)-1] != l.Row {
			names = append(names, l.Row)
		}
	}
	return names
}

func (t *table) markdown(row string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s, %d cores, load average %s when it began", t.Time.Format(time.DateOnly), t.System, t.Cores, cmp.Or(t.Load, "unknown"))
	if t.Turns > 0 {
		fmt.Fprintf(&b, ", at most %d turns (BENCH_TURNS)", t.Turns)
	}
	b.WriteString(":\n\n")
	b.WriteString("| case | measured | against | | ratio | middle half | target | met |\n|---|---|---|---|---|---|---|---|\n")
	for _, l := range t.Lines {
		if l.Row == row {
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %.2fx | %.2f-%.2f | %s | %s |\n", l.Case, figure(l.Value, l.Unit), figure(l.Of, l.Unit), l.Yardstick,
				l.Ratio.Median, l.Ratio.Low, l.Ratio.High, l.target(), l.met())
		}
	}
	for _, n := range t.Notes {
		if rest, ok := strings.CutPrefix(n, row+": "); ok {
			b.WriteString("\n" + rest + "\n")
		}
	}
	return b.String()
}

// update writes the page anew.
func (t *table) update(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read the page: %w", err)
	}
	if err := os.WriteFile(file, []byte(t.page(file, string(text))), 0o644); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

// loadAverage is how many processes wanted a CPU in the last minute; "" where the machine does not tell.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}
