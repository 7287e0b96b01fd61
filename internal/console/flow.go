package console

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

const (
	flowMost     = 80  // triggers in one drawing
	flowRequests = 100 // the newest, which tell what routes are called; more would take one of the API's places for searches at each look
	flowRow      = 46  // distance of two boxes
	flowBox      = 34  // height of one
	flowColumn   = 250
	flowWidth    = 190
)

// flowPage is the map of who hears of what, and says what.
type flowPage struct {
	Search        string
	Problems      []string
	Boxes         []box
	Lines         []line
	Width, Height int
	Drawn, Of     int    // triggers: the drawing's, and all that fit the search
	Next          string // the address of the next ones; "" = there are none
}

// box is a node of the drawing.
type box struct {
	X, Y       int
	Kind       string // source, topic, trigger, function, out
	Name, Note string
	Link       string
	Bad        bool
}

// line leads from one box to another.
type line struct {
	Path   string // of SVG 2, section 9.3
	Moving bool   // runs went this way within the last 15 minutes
	Title  string
}

// drawing gathers boxes by column.
type drawing struct {
	boxes map[string]*box
	order [5][]string
	ways  []way
	notes map[string]string // what functions did lately
}

type way struct {
	from, to string
	moving   bool
	title    string
}

func (d *drawing) put(column int, key string, b box) {
	if _, there := d.boxes[key]; there {
		return
	}
	d.boxes[key] = &b
	d.order[column] = append(d.order[column], key)
}

func (c *Console) flow(v *visit) (frame, error) {
	ctx := v.r.Context()
	triggers, err := v.Triggers(ctx, "")
	if err != nil {
		return frame{}, err
	}
	p := flowPage{Search: v.query("search")}
	var (
		counts   wire.RunCounts
		health   wire.NodeHealth
		requests []request
	)
	all := together{} // what went on; without it the map is drawn all the same
	all.ask("runs", func() (err error) { counts, err = v.RunCounts(ctx); return err })
	all.ask("health", func() (err error) { health, err = v.Client.Health(ctx); return err })
	all.ask("requests", func() (err error) { requests, err = requestsOf(ctx, v, "", flowRequests); return err })
	if p.Problems, err = all.wait(); err != nil {
		return frame{}, err
	}
	from, _ := strconv.Atoi(v.query("from")) // what is no number is the begin
	p.draw(triggers, latelyOf(v, counts.Triggers, requests, &health), from)
	return frame{Page: "flow", Title: "Flow", Nav: "flow", Live: true, Body: p}, nil
}

// activity is what went on within the last 15 minutes.
type activity struct {
	counts   []wire.TriggerRuns
	triggers map[string]*wire.TriggerRuns // by FUNCTION/TRIGGER; what was called by route has its requests as runs that succeeded or are dead
	notes    map[string]string            // by function
}

func latelyOf(v *visit, counts []wire.TriggerRuns, requests []request, health *wire.NodeHealth) *activity {
	a := &activity{counts: counts, triggers: map[string]*wire.TriggerRuns{}, notes: map[string]string{}}
	for _, h := range health.Functions {
		for _, m := range h.Measures {
			if m.Name == "errors" && m.Samples > 0 {
				a.notes[h.Function] = many(m.Samples, "call") + " in " + long(h.Window)
			}
		}
	}
	runs := map[string]int64{}
	for i := range counts {
		c := &counts[i]
		a.triggers[c.Function+"/"+c.Trigger] = c
		runs[c.Function] += runsOf(c)
	}
	for fn, n := range runs {
		a.notes[fn] = lateRuns(n)
	}
	for _, r := range requests {
		if r.Route == "" || v.now.Sub(r.At) > recently {
			continue
		}
		if a.notes[r.Function] == "" {
			a.notes[r.Function] = "requests in 15 min"
		}
		key := r.Function + "/" + r.Route
		if a.triggers[key] == nil {
			a.triggers[key] = &wire.TriggerRuns{Runs: map[function.RunState]int64{}}
		}
		a.triggers[key].Runs[function.RunSucceeded]++
	}
	return a
}

// of is what a trigger did.
func (a *activity) of(t *wire.FunctionTrigger) *wire.TriggerRuns {
	if was := a.triggers[t.Function+"/"+t.Name]; was != nil {
		return was
	}
	return &wire.TriggerRuns{}
}

// urgency sorts triggers where not all can be drawn: first those that somebody should look at, then those that something went on with.
func (a *activity) urgency(t *wire.FunctionTrigger) int {
	was := a.of(t)
	switch {
	case was.Runs[function.RunDead] > 0 || t.Error != "" || t.Paused:
		return 0
	case runsOf(was) > 0:
		return 1
	case t.Lag != nil && *t.Lag > 0:
		return 2
	}
	return 3
}

// draw makes the drawing of those triggers that fit the search, from so many on.
func (p *flowPage) draw(triggers []wire.FunctionTrigger, lately *activity, from int) {
	triggers = slices.DeleteFunc(triggers, func(t wire.FunctionTrigger) bool {
		if t.Name == function.InvokeTrigger && runsOf(lately.of(&t)) == 0 {
			return true // every function has it; few are called so
		}
		return !strings.Contains(t.Function, p.Search) && !strings.Contains(t.Topic, p.Search) && !strings.Contains(t.Name, p.Search)
	})
	p.Of = len(triggers)
	from = min(max(0, from), p.Of)
	if p.Of > flowMost {
		slices.SortStableFunc(triggers, func(a, b wire.FunctionTrigger) int { return cmp.Compare(lately.urgency(&a), lately.urgency(&b)) })
		triggers = triggers[from:min(from+flowMost, p.Of)]
		if end := from + len(triggers); end < p.Of {
			p.Next = href("flow", "?", "search", p.Search, "from", end)
		}
	}
	p.Drawn = len(triggers)
	d := &drawing{boxes: map[string]*box{}, notes: lately.notes}
	late := steps(lately.counts)
	idle := func(t *wire.FunctionTrigger) int { return lately.urgency(t) / 3 } // what goes on stands together, at the top
	slices.SortStableFunc(triggers, func(a, b wire.FunctionTrigger) int {
		return cmp.Or(cmp.Compare(idle(&a), idle(&b)), cmp.Compare(late[a.Function], late[b.Function]), cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Function, b.Function))
	})
	for _, t := range triggers {
		d.trigger(t, lately.of(&t))
	}
	p.place(d)
}

func runsOf(c *wire.TriggerRuns) (n int64) {
	for _, runs := range c.Runs {
		n += runs
	}
	return n
}

func lateRuns(n int64) string { return many(n, "run") + " in 15 min" }

// steps is how many functions come before each, as far as the runs tell who emits what others want: so a chain is drawn from the top down.
func steps(counts []wire.TriggerRuns) map[string]int {
	emits, wants := map[string]map[string]bool{}, map[string]map[string]bool{} // types of events to functions
	note := func(all map[string]map[string]bool, typ, fn string) {
		if all[typ] == nil {
			all[typ] = map[string]bool{}
		}
		all[typ][fn] = true
	}
	for _, c := range counts {
		for _, typ := range c.Wants {
			note(wants, typ, c.Function)
		}
		for _, typ := range c.Emits {
			note(emits, typ, c.Function)
		}
	}
	late := map[string]int{}
	for range maxDeep { // who feeds himself would never end
		for typ, from := range emits {
			for a := range from {
				for b := range wants[typ] {
					if a != b {
						late[b] = min(maxDeep, max(late[b], late[a]+1))
					}
				}
			}
		}
	}
	return late
}

// trigger puts the way of one trigger into the drawing, from where its events come to where its function's go.
func (d *drawing) trigger(t wire.FunctionTrigger, was *wire.TriggerRuns) {
	key, fn := "trigger/"+t.Function+"/"+t.Name, "function/"+t.Function
	b := box{Kind: "trigger", Name: t.Name, Link: href("runs", "?", "function", t.Function, "trigger", t.Name), Bad: was.Runs[function.RunDead] > 0 || t.Error != ""}
	from := "topic/" + t.Topic
	switch {
	case t.Route != nil:
		from = "source/http"
		d.put(0, from, box{Kind: "source", Name: "requests", Note: "HTTP", Link: href("events", "?", "topic", function.TopicRequests)})
		b.Note = strings.TrimSpace(t.Route.Method + " " + t.Route.Path)
	case t.Schedule != "":
		from = "source/clock"
		d.put(0, from, box{Kind: "source", Name: "the clock", Note: "schedules", Link: "/settings#schedules"})
		b.Note = t.Schedule
	default:
		d.put(1, from, box{Kind: "topic", Name: t.Topic, Note: "topic", Link: href("topics", t.Topic)})
		b.Note = wanted(t.Filter)
		if t.Name == function.InvokeTrigger {
			b.Note = "asynchronous calls"
		}
		if t.Lag != nil && *t.Lag > 0 {
			b.Note = fmt.Sprintf("lag %d · %s", *t.Lag, b.Note)
		}
	}
	if t.Paused {
		b.Note = "paused · " + b.Note
	}
	d.put(2, key, b)
	d.put(3, fn, box{Kind: "function", Name: t.Function, Note: cmp.Or(d.notes[t.Function], "nothing in 15 min"), Link: href("functions", t.Function)})
	runs := runsOf(was)
	title := lateRuns(runs)
	if t.Route != nil {
		title = many(runs, "request") + " in 15 min, of the newest of all"
	}
	d.ways = append(d.ways, way{from, key, runs > 0, title}, way{key, fn, runs > 0, title})
	outs := map[string]int64{}
	if t.Emit != nil {
		outs[t.Emit.Topic] = 0
	}
	maps.Copy(outs, was.Emitted)
	for _, topic := range slices.Sorted(maps.Keys(outs)) {
		out := "out/" + topic
		d.put(4, out, box{Kind: "topic", Name: topic, Note: "topic", Link: href("topics", topic)})
		d.ways = append(d.ways, way{fn, out, outs[topic] > 0, many(outs[topic], "event") + " in 15 min"})
	}
}

// beside places the boxes of a column, in the order of the middle of those that they are connected with and as near to it as the others leave room.
func (d *drawing) beside(column, height int) {
	keys := d.order[column]
	sum, n := map[string]int{}, map[string]int{}
	for _, w := range d.ways {
		here, there := w.from, w.to
		if column > 2 {
			here, there = w.to, w.from
		}
		sum[here] += d.boxes[there].Y
		n[here]++
	}
	middle := func(key string) int { return sum[key] / max(1, n[key]) }
	slices.SortStableFunc(keys, func(a, b string) int { return cmp.Compare(middle(a), middle(b)) })
	free := 10
	for i, key := range keys {
		y := min(max(middle(key), free), height-10-(len(keys)-i)*flowRow+(flowRow-flowBox))
		d.boxes[key].Y = max(y, free)
		free = d.boxes[key].Y + flowRow
	}
}

// wanted are the types that a filter names.
func wanted(filter json.RawMessage) string {
	var f struct {
		Type []any `json:"type"`
	}
	if json.Unmarshal(filter, &f) != nil || len(f.Type) == 0 {
		if len(filter) > 0 {
			return "some events"
		}
		return "every event"
	}
	words := make([]string, len(f.Type))
	for i, t := range f.Type {
		words[i] = fmt.Sprint(t)
		if _, plain := t.(string); !plain {
			words[i] = "…"
		}
	}
	return strings.Join(words, ", ")
}

// place gives each box its place: triggers stand one below the other, and what they are connected with beside them, so that lines cross as little as may
// be. Columns that are empty are left out.
func (p *flowPage) place(d *drawing) {
	tallest, column := 0, 0
	for _, keys := range d.order {
		tallest = max(tallest, len(keys))
	}
	p.Height = tallest*flowRow + 20
	for i, key := range d.order[2] {
		d.boxes[key].Y = (p.Height-len(d.order[2])*flowRow)/2 + i*flowRow + (flowRow-flowBox)/2
	}
	for _, i := range []int{1, 0, 3, 4} { // each beside one that stands already
		d.beside(i, p.Height)
	}
	for _, keys := range d.order {
		for _, key := range keys {
			d.boxes[key].X = 10 + column*flowColumn
		}
		if len(keys) > 0 {
			column++
		}
	}
	p.Width = max(0, (column-1)*flowColumn) + flowWidth + 20
	for _, keys := range d.order {
		for _, key := range keys {
			p.Boxes = append(p.Boxes, *d.boxes[key])
		}
	}
	drawn := map[string]int{}
	for _, w := range d.ways {
		a, b := d.boxes[w.from], d.boxes[w.to]
		x1, y1, x2, y2 := a.X+flowWidth, a.Y+flowBox/2, b.X, b.Y+flowBox/2
		path := fmt.Sprintf("M%d %dC%d %d %d %d %d %d", x1, y1, (x1+x2)/2, y1, (x1+x2)/2, y2, x2, y2)
		if i, twice := drawn[path]; twice {
			p.Lines[i].Moving = p.Lines[i].Moving || w.moving
			continue
		}
		drawn[path] = len(p.Lines)
		p.Lines = append(p.Lines, line{Path: path, Moving: w.moving, Title: w.title})
	}
	slices.SortStableFunc(p.Lines, func(a, b line) int { // what moves is drawn above
		switch {
		case a.Moving == b.Moving:
			return 0
		case b.Moving:
			return -1
		}
		return 1
	})
}
