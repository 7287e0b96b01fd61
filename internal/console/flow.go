package console

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

const (
	flowMost   = 80 // triggers in one drawing
	flowRow    = 46 // distance of two boxes
	flowBox    = 34 // height of one
	flowColumn = 250
	flowWidth  = 190
)

// flowPage is the map of who hears of what, and says what.
type flowPage struct {
	Search        string
	Boxes         []box
	Lines         []line
	Width, Height int
	Cut           bool // there are more than are drawn
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
	runs  map[string]int64 // of the last 15 minutes, by function
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
	counts, err := v.RunCounts(ctx)
	if err != nil {
		return frame{}, err
	}
	p := flowPage{Search: v.query("search")}
	triggers = slices.DeleteFunc(triggers, func(t wire.FunctionTrigger) bool { return !strings.Contains(t.Function, p.Search) })
	if p.Cut = len(triggers) > flowMost; p.Cut {
		triggers = triggers[:flowMost]
	}
	p.draw(triggers, counts.Triggers)
	return frame{Page: "flow", Title: "Flow", Nav: "flow", Live: true, Body: p}, nil
}

func (p *flowPage) draw(triggers []wire.FunctionTrigger, counts []wire.TriggerRuns) {
	lately := map[string]*wire.TriggerRuns{}
	d := &drawing{boxes: map[string]*box{}, runs: map[string]int64{}}
	for i := range counts {
		c := &counts[i]
		lately[c.Function+"/"+c.Trigger] = c
		d.runs[c.Function] += runsOf(c)
	}
	late := steps(counts)
	slices.SortStableFunc(triggers, func(a, b wire.FunctionTrigger) int { return cmp.Compare(late[a.Function], late[b.Function]) })
	for _, t := range triggers {
		was := lately[t.Function+"/"+t.Name]
		if was == nil {
			was = &wire.TriggerRuns{}
		}
		if t.Name == function.InvokeTrigger && runsOf(was) == 0 {
			continue // every function has it; few are called so
		}
		d.trigger(t, was)
	}
	p.place(d)
}

func runsOf(c *wire.TriggerRuns) (n int64) {
	for _, runs := range c.Runs {
		n += runs
	}
	return n
}

func lateRuns(n int64) string {
	if n == 1 {
		return "1 run in 15 min"
	}
	return fmt.Sprintf("%d runs in 15 min", n)
}

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
	b.Note = cut(34, b.Note)
	d.put(2, key, b)
	d.put(3, fn, box{Kind: "function", Name: t.Function, Note: lateRuns(d.runs[t.Function]), Link: href("functions", t.Function)})
	runs := runsOf(was)
	title := lateRuns(runs)
	d.ways = append(d.ways, way{from, key, runs > 0, title}, way{key, fn, runs > 0, title})
	outs := map[string]int64{}
	if t.Emit != nil {
		outs[t.Emit.Topic] = 0
	}
	maps.Copy(outs, was.Emitted)
	for _, topic := range slices.Sorted(maps.Keys(outs)) {
		out := "out/" + topic
		d.put(4, out, box{Kind: "topic", Name: topic, Note: "topic", Link: href("topics", topic)})
		d.ways = append(d.ways, way{fn, out, outs[topic] > 0, fmt.Sprintf("%d events in 15 min", outs[topic])})
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

// place gives each box its place: columns are centred on the tallest, and empty ones are left out.
func (p *flowPage) place(d *drawing) {
	tallest, column := 0, 0
	for _, keys := range d.order {
		tallest = max(tallest, len(keys))
	}
	p.Height = tallest*flowRow + 20
	for _, keys := range d.order {
		if len(keys) == 0 {
			continue
		}
		top := (p.Height - len(keys)*flowRow) / 2
		for i, key := range keys {
			b := d.boxes[key]
			b.X, b.Y = 10+column*flowColumn, top+i*flowRow+(flowRow-flowBox)/2
		}
		column++
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
