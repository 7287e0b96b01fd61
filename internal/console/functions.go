package console

import (
	"cmp"
	"context"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// maxRows bounds every list of a page.
const maxRows = 100

// functionsPage lists functions, by name.
type functionsPage struct {
	Search    string
	Functions []wire.FunctionSummary
	Health    map[string]string // grade by function; of those that were called
	Total     int               // that fit the search
	After     string            // the name to go on behind; "" = these are all
}

func (c *Console) functions(v *visit) (frame, error) {
	p := functionsPage{Search: v.query("search"), Health: map[string]string{}}
	list, err := v.Client.Functions(v.r.Context())
	if err != nil {
		return frame{}, err
	}
	health, err := v.Client.Health(v.r.Context())
	if err != nil {
		return frame{}, err
	}
	for _, h := range health.Functions {
		p.Health[h.Function] = h.Grade
	}
	slices.SortFunc(list, func(a, b wire.FunctionSummary) int { return cmp.Compare(a.Name, b.Name) })
	after := v.query("after")
	for _, f := range list {
		if !strings.Contains(f.Name, p.Search) {
			continue
		}
		p.Total++
		if f.Name <= after {
			continue
		}
		if len(p.Functions) == maxRows {
			p.After = p.Functions[maxRows-1].Name
			continue
		}
		p.Functions = append(p.Functions, f)
	}
	return frame{Page: "functions", Title: "Functions", Nav: "functions", Live: true, Body: p}, nil
}

// functionPage is one function.
type functionPage struct {
	wire.Function
	Problems []string
	Live     *function.Version // nil = live points at none
	Versions []wire.Version    // the newest
	Aliases  []wire.Alias
	Rollout  *wire.Rollout // under way, else the newest; nil = there was none
	Instance wire.InstanceList
	Health   wire.Health
	Runs     []function.Run
	Requests []request // the newest
	Groups   []errorGroup
	Times    *times
	Called   bool   // there is something to judge its health by
	Tried    *tried // nil = nothing was tried
}

func (c *Console) function(v *visit) (frame, error) { return c.functionPage(v, nil) }

func (c *Console) functionPage(v *visit, did *tried) (frame, error) {
	name, ctx := v.r.PathValue("function"), v.r.Context()
	f, err := v.Client.Function(ctx, name)
	if err != nil {
		return frame{}, err
	}
	p := functionPage{Function: f, Tried: did}
	all := together{}
	all.ask("versions", func() error {
		list, err := v.Client.Versions(ctx, name)
		p.Versions = list.Versions[:min(len(list.Versions), 20)]
		return err
	})
	all.ask("aliases", func() error {
		list, err := v.Client.Aliases(ctx, name)
		p.Aliases = list.Aliases[:min(len(list.Aliases), maxRows)]
		return err
	})
	all.ask("roll-out", func() error {
		r, err := v.Client.Rollout(ctx, name, "")
		if err == nil {
			p.Rollout = &r
		}
		return unlessMissing(err)
	})
	all.ask("instances", func() (err error) { p.Instance, err = v.Client.Instances(ctx, name); return err })
	all.ask("health", func() (err error) { p.Health, err = v.Client.FunctionHealth(ctx, name); return unlessMissing(err) })
	var runs, errors []function.Run
	var requests []request
	all.ask("runs", func() error {
		page, err := v.Client.Runs(ctx, client.RunQuery{Function: name, Limit: maxRows})
		runs = page.Runs
		return err
	})
	all.ask("errors", func() (err error) { errors, err = badRuns(ctx, v, name); return err })
	all.ask("requests", func() (err error) { requests, err = requestsOf(ctx, v, name, maxRows); return err })
	if p.Problems, err = all.wait(); err != nil {
		return frame{}, err
	}
	p.Runs, p.Requests = runs[:min(len(runs), 20)], requests[:min(len(requests), requestsShown)]
	p.Times, p.Groups = timesOf(runs, requests), grouped(append(errors, failed(requests)...))
	p.Called = slices.ContainsFunc(p.Health.Measures, func(m wire.HealthMeasure) bool { return m.Name == "errors" && m.Samples > 0 })
	p.Live = liveOf(&f)
	return frame{Page: "function", Title: name, Nav: "functions", Live: did == nil, Body: p}, nil
}

func unlessMissing(err error) error {
	if fault.KindOf(err) == fault.NotFound {
		return nil
	}
	return err
}

// times is how long the newest invocations took.
type times struct {
	Count         int
	P50, P95, Max time.Duration
	Bars          []bar
	From, To      time.Duration // of the first bar's begin and the last one's end
}

// bar is one column of a histogram, in a drawing of 240 by 60.
type bar struct {
	X, Y, Width, Height float64
	Title               string
}

// timesOf is nil where there is too little to say.
func timesOf(runs []function.Run, requests []request) *times {
	var all []time.Duration
	for _, r := range requests {
		if r.Duration > 0 {
			all = append(all, r.Duration.Std())
		}
	}
	for _, r := range runs {
		for _, a := range r.Attempts {
			if a.Duration > 0 {
				all = append(all, a.Duration.Std())
			}
		}
	}
	if len(all) < 5 {
		return nil
	}
	slices.Sort(all)
	at := func(share float64) time.Duration { return all[min(len(all)-1, int(share*float64(len(all))))] }
	t := &times{Count: len(all), P50: at(.5), P95: at(.95), Max: all[len(all)-1]}
	// Columns grow by doubling, so that what is slow is seen beside what is fast.
	columns := map[int]int{}
	for _, d := range all {
		columns[int(math.Floor(math.Log2(float64(max(d, time.Microsecond)))))]++
	}
	first, end := math.MaxInt, math.MinInt
	most := 0
	for c, n := range columns {
		first, end, most = min(first, c), max(end, c+1), max(most, n)
	}
	t.From, t.To = time.Duration(math.Exp2(float64(first))), time.Duration(math.Exp2(float64(end)))
	width := 240 / float64(end-first)
	for c := first; c < end; c++ {
		height := 58 * float64(columns[c]) / float64(most)
		t.Bars = append(t.Bars, bar{
			X: float64(c-first) * width, Y: 60 - height, Width: max(1, width-2), Height: height,
			Title: strconv.Itoa(columns[c]) + " of " + long(time.Duration(math.Exp2(float64(c)))) + " to " + long(time.Duration(math.Exp2(float64(c+1)))),
		})
	}
	return t
}

// errorGroup are runs that ended, or wait, for the same reason.
type errorGroup struct {
	Text  string // of the newest
	Find  string // text that all of them have in their error
	Type  string
	Count int
	Last  time.Time
	Run   string            // the newest; "" = it is a request
	Place function.EventRef // of the newest
	Dead  int               // of Count
}

// badRuns are a function's newest runs that are dead or are tried again.
func badRuns(ctx context.Context, v *visit, name string) ([]function.Run, error) {
	var all []function.Run
	for _, state := range []function.RunState{function.RunDead, function.RunRetrying} {
		page, err := v.Client.Runs(ctx, client.RunQuery{Function: name, State: state, Limit: maxRows})
		if err != nil {
			return nil, err
		}
		all = append(all, page.Runs...)
	}
	return all, nil
}

// grouped puts runs together whose last errors differ in numbers alone, those that are most first.
func grouped(runs []function.Run) []errorGroup {
	groups := map[string]*errorGroup{}
	for _, r := range runs {
		a := lastAttempt(r)
		text, typ := r.Reason, ""
		if a != nil && a.Failure != nil {
			text, typ = a.Failure.Message, a.Failure.Type
		} else if a != nil && text == "" {
			text = string(a.Outcome)
		}
		key := typ + "\x00" + fingerprint(text)
		g := groups[key]
		at := r.Finished
		if a != nil {
			at = a.Start
		}
		if g == nil {
			g = &errorGroup{Text: text, Type: typ, Find: sameWords(text)}
			groups[key] = g
		}
		if g.Count == 0 || at.After(g.Last) {
			g.Last, g.Run, g.Place, g.Text = at, r.ID, r.Event, text
		}
		g.Count++
		if r.State == function.RunDead {
			g.Dead++
		}
	}
	all := make([]errorGroup, 0, len(groups))
	for _, g := range slices.SortedFunc(maps.Values(groups), func(a, b *errorGroup) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), b.Last.Compare(a.Last), cmp.Compare(a.Run, b.Run))
	}) {
		all = append(all, *g)
	}
	return all[:min(len(all), 20)]
}

// fingerprint is an error without what differs from one time to the next: numbers, and what has digits in it, such as ids.
func fingerprint(text string) string {
	words := strings.FieldsFunc(cut(400, text), func(r rune) bool { return strings.ContainsRune(" \t\r\n'\"=:,;()[]{}", r) })
	for i, w := range words {
		if strings.ContainsAny(w, "0123456789") {
			words[i] = "#"
		}
	}
	return strings.Join(words, " ")
}

// sameWords is the longest stretch of an error that has no digit in it: by it the others of the group are found.
func sameWords(text string) string {
	longest := ""
	for _, part := range strings.FieldsFunc(cut(200, strings.TrimSuffix(text, "…")), func(r rune) bool { return r >= '0' && r <= '9' || r == '\n' || r == '…' }) {
		if part = strings.TrimSpace(part); len(part) > len(longest) {
			longest = part
		}
	}
	return longest
}
