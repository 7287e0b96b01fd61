package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

// topView is one view of a node; its JSON is what top -o json prints.
type topView struct {
	Grade     string   `json:"grade"` // of the node
	Space     string   `json:"space"`
	Window    float64  `json:"window"` // seconds that the averages are of
	Instances int      `json:"instances"`
	Functions []topRow `json:"functions"`
}

// topRow is a function in a view.
type topRow struct {
	Name      string  `json:"name"`
	Version   int     `json:"version"`
	Grade     string  `json:"grade"`
	Rate      float64 `json:"rate"`    // calls a second
	Errors    float64 `json:"errors"`  // share of 1
	Average   float64 `json:"average"` // seconds
	P95       float64 `json:"p95"`     // seconds
	Instances int     `json:"instances"`
	Waiting   float64 `json:"waiting"` // calls, on average
	Lag       int64   `json:"lag"`     // events
	Partial   bool    `json:"lagPartial,omitempty"`
	Trouble   string  `json:"trouble,omitempty"`
}

func newTopView(node *wire.Node, health *wire.NodeHealth, functions []wire.FunctionSummary) *topView {
	v := &topView{Grade: health.Grade, Space: node.Space, Window: health.Window.Std().Seconds(), Instances: node.Instances, Functions: []topRow{}}
	graded := map[string]*wire.Health{}
	for i := range health.Functions {
		graded[health.Functions[i].Function] = &health.Functions[i]
	}
	for _, f := range functions {
		r := topRow{Name: f.Name, Version: f.Version, Grade: "-", Instances: f.Instances, Lag: f.Lag, Partial: f.LagPartial}
		if len(f.Troubles) > 0 {
			r.Trouble = f.Troubles[0].Reason
		}
		if h := graded[f.Name]; h != nil {
			r.measured(h, v.Window)
		}
		v.Functions = append(v.Functions, r)
	}
	return v
}

func (r *topRow) measured(h *wire.Health, window float64) {
	r.Grade = h.Grade
	for _, m := range h.Measures {
		switch m.Name {
		case "errors":
			r.Errors, r.Rate = m.Average, float64(m.Samples)/max(window, 1)
		case "response":
			r.Average, r.P95 = m.Average, m.P95
		case "queue":
			r.Waiting = m.Average
		}
	}
}

// topColumn is what a view can be sorted by.
type topColumn struct {
	name string
	key  byte
	by   func(a, b *topRow) int // the least first
}

func topColumns() []topColumn {
	return []topColumn{
		{"rate", 'r', func(a, b *topRow) int { return cmp.Compare(a.Rate, b.Rate) }},
		{"errors", 'e', func(a, b *topRow) int { return cmp.Compare(a.Errors, b.Errors) }},
		{"average", 'a', func(a, b *topRow) int { return cmp.Compare(a.Average, b.Average) }},
		{"p95", 'p', func(a, b *topRow) int { return cmp.Compare(a.P95, b.P95) }},
		{"instances", 'i', func(a, b *topRow) int { return cmp.Compare(a.Instances, b.Instances) }},
		{"waiting", 'w', func(a, b *topRow) int { return cmp.Compare(a.Waiting, b.Waiting) }},
		{"lag", 'l', func(a, b *topRow) int { return cmp.Compare(a.Lag, b.Lag) }},
		{"name", 'n', func(a, b *topRow) int { return cmp.Compare(b.Name, a.Name) }}, // the most is the first letter
	}
}

func topColumnNames() (names []string) {
	for _, c := range topColumns() {
		names = append(names, c.name)
	}
	return names
}

// topOrder is the order of a view: the most first, or the least.
type topOrder struct {
	column topColumn
	least  bool
}

func topOrderOf(name string) (topOrder, error) {
	for _, c := range topColumns() {
		if c.name == name {
			return topOrder{column: c}, nil
		}
	}
	return topOrder{}, fault.New(fault.Invalid, "--sort: there is no column %q", fault.Clip(name)).WithHint("one of %s", strings.Join(topColumnNames(), ", "))
}

// pressed is the order after a key; on is false for one that ends the view. Ctrl-C is 3 where the terminal is raw.
func (o topOrder) pressed(key byte) (next topOrder, on bool) {
	if key == 'q' || key == 3 {
		return o, false
	}
	for _, c := range topColumns() {
		if c.key == key {
			return topOrder{column: c, least: c.key == o.column.key && !o.least}, true
		}
	}
	return o, true
}

func (o topOrder) sorted(rows []topRow) []topRow {
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b topRow) int {
		d := o.column.by(&b, &a)
		if o.least {
			d = -d
		}
		return cmp.Or(d, cmp.Compare(a.Name, b.Name))
	})
	return rows
}

// lines is the view in at most 80 columns.
func (v *topView) lines(by topOrder, now time.Time) []string {
	rate := 0.0
	for _, r := range v.Functions {
		rate += r.Rate
	}
	turned := ""
	if by.least {
		turned = ", the least first"
	}
	all := []string{
		fmt.Sprintf("%s  node %s  disk %s  %s  %s  %.1f calls/s", now.Local().Format(time.TimeOnly), orDash(v.Grade), orDash(v.Space),
			count(int64(len(v.Functions)), "function"), count(int64(v.Instances), "instance"), rate),
		fmt.Sprintf("by %s%s; over %.0f s   r e a p i w l n sort, q ends", by.column.name, turned, v.Window),
		"",
		fmt.Sprintf("%-17s %4s %-9s %7s %5s %7s %7s %4s %5s %6s", "FUNCTION", "VER", "GRADE", "CALLS/S", "ERR%", "AVERAGE", "P95", "INST", "WAIT", "LAG"),
	}
	for _, r := range by.sorted(v.Functions) {
		line := fmt.Sprintf("%-17s %4d %-9s %7.1f %5s %7s %7s %4d %5.3g %6s", short(r.Name, 17), r.Version, r.Grade, r.Rate,
			strconv.FormatFloat(r.Errors*100, 'f', 1, 64), seconds(r.Average), seconds(r.P95), r.Instances, r.Waiting, lagText(r.Lag, r.Partial))
		all = append(all, line)
		if r.Trouble != "" {
			all = append(all, "  "+short(r.Trouble, 76))
		}
	}
	return all
}

// seconds is a time of calls; - = none was called.
func seconds(s float64) string {
	if s == 0 {
		return "-"
	}
	return rounded(time.Duration(s * float64(time.Second)))
}
