package api

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/history"
	"github.com/dalamb/dalamb/internal/wire"
)

// Bounds of one trace.
const (
	maxTraceNodes = 500
	maxTraceDepth = 2 * event.MaxHops // a hop is an event and a run
	maxTraceRoots = 20
	maxTraceHits  = 100 // events of a W3C trace of which the first causes are looked for
)

// w3cTrace is a trace-id. W3C Trace Context, section 3.2.2.3.
var w3cTrace = regexp.MustCompile(`^[0-9a-f]{32}$`)

// traceEvent tells what led to an event and what it led to.
func (a *API) traceEvent(r *http.Request, q query) (any, error) {
	id := q.text("id")
	if id == "" {
		return nil, fault.New(fault.Invalid, "no id is given (query parameter \"id\")").WithHint("the id of an event or of a run, a W3C trace id, or TOPIC/PARTITION@OFFSET")
	}
	t := newTracer(a, id)
	if _, err := t.grow(r.Context(), id, q.text("topic"), true); err != nil {
		return nil, err
	}
	return &t.out, nil
}

func newTracer(a *API, id string) *tracer {
	return &tracer{api: a, seen: map[string]bool{}, have: map[string]*found{}, out: wire.Trace{ID: id, Roots: []wire.TraceNode{}}}
}

// tracer makes one trace.
type tracer struct {
	api  *API
	seen map[string]bool   // ids of events that are in the tree
	have map[string]*found // by id: events that were found on the way up, which need not be looked for again
	full bool              // something is not in the tree because there was no room
	out  wire.Trace

	met func(*found, *function.Run) error // called with one of both for each node of which there is more than its name; nil = nobody wants to know
}

func (t *tracer) cut(what string) {
	if !slices.Contains(t.out.Cut, what) {
		t.out.Cut = append(t.out.Cut, what)
	}
}

// event makes the node of an event, with its runs below it.
func (t *tracer) event(ctx context.Context, f *found, depth int) (n wire.TraceNode, err error) {
	rec, e := f.record, f.event
	t.seen[e.ID] = true
	t.out.Nodes++
	if t.met != nil {
		if err := t.met(f, nil); err != nil {
			return n, err
		}
	}
	n = wire.TraceNode{Kind: "event", ID: e.ID, Name: e.Type, Key: e.Key(), At: fmt.Sprintf("%s/%d@%d", rec.Topic, rec.Partition, rec.Offset), Began: rec.Time}
	var req function.Request
	if e.Type == event.TypeRequestCompleted && decodeData(f, &req) {
		n.Kind, n.Name, n.Key = "request", req.Method+" "+req.Path, ""
		n.Began, n.Took, n.State, n.Version = req.Start, req.Duration, fmt.Sprint(req.Status), req.Version
		n.Note = req.Function
		end := req.Start.Add(req.Duration.Std())
		if err := t.emitted(ctx, &n, req.Emitted, end, depth); err != nil {
			return n, err
		}
	}
	t.span(n.Began, n.Took.Std())
	runs, err := t.api.history.Runs(history.Query{
		EventID: e.ID, EventAt: &function.EventRef{Topic: rec.Topic, Partition: rec.Partition, Offset: rec.Offset}, Limit: maxStoryRuns,
	})
	if err != nil {
		return n, err
	}
	if runs.Next != "" {
		t.cut(fmt.Sprintf("event %s has more than %d runs", fault.Clip(e.ID), maxStoryRuns))
	}
	slices.SortStableFunc(runs.Rows, func(a, b *function.Run) int {
		return cmp.Or(beganAt(a).Compare(beganAt(b)), cmp.Compare(a.Function, b.Function), cmp.Compare(a.Trigger, b.Trigger))
	})
	for _, r := range runs.Rows {
		if !t.room(depth) {
			break
		}
		below, err := t.run(ctx, r, depth+1)
		if err != nil {
			return n, err
		}
		n.Below = append(n.Below, below)
	}
	return n, nil
}

// beganAt is when the first attempt of a run began of which that is known.
func beganAt(r *function.Run) time.Time {
	for _, a := range r.Attempts {
		if !a.Start.IsZero() {
			return a.Start
		}
	}
	return r.Finished
}

func (t *tracer) run(ctx context.Context, r *function.Run, depth int) (n wire.TraceNode, err error) {
	t.out.Nodes++
	if t.met != nil {
		if err := t.met(nil, r); err != nil {
			return n, err
		}
	}
	n = wire.TraceNode{
		Kind: "run", ID: r.ID, Name: r.Function + "/" + r.Trigger, Began: beganAt(r), State: string(r.State),
		Attempts: len(r.Attempts), Version: function.LastVersion(r.Attempts), Note: r.Reason,
	}
	end := r.Finished
	if k := len(r.Attempts); k > 0 {
		last := r.Attempts[k-1]
		end = last.Start.Add(last.Duration.Std())
		if last.Failure != nil && r.State != function.RunSucceeded {
			n.Note = last.Failure.Type + ": " + last.Failure.Message
		}
	}
	if took := end.Sub(n.Began); took > 0 && !n.Began.IsZero() {
		n.Took = function.Duration(took)
	}
	if r.RedriveOf != "" {
		n.Note = cmp.Or(n.Note, "redrive of "+r.RedriveOf)
	}
	t.span(n.Began, n.Took.Std())
	out := slices.Clone(r.Emitted)
	if s := r.Sent; s != nil && s.ID != "" {
		topic := s.Topic
		if s.Function != "" {
			topic = function.TopicInvoke
		}
		out = append(out, function.Emitted{Topic: topic, ID: s.ID, Type: "what its destination was told"})
	}
	return n, t.emitted(ctx, &n, out, cmp.Or(r.Finished, end), depth)
}

// emitted adds the events that a run or a request put into the log about a time.
func (t *tracer) emitted(ctx context.Context, n *wire.TraceNode, all []function.Emitted, about time.Time, depth int) error {
	for _, e := range all {
		if t.seen[e.ID] {
			continue // a redrive emits with the same ids, and they stand once
		}
		if !t.room(depth) {
			return nil
		}
		f, err := t.emittedEvent(ctx, e, about)
		if err != nil {
			return err
		}
		below := wire.TraceNode{Kind: "event", ID: e.ID, Name: e.Type, Key: e.Key, At: e.Topic, Note: "the log holds it no more, or it stands elsewhere"}
		if f == nil {
			t.seen[e.ID] = true
			t.out.Nodes++
		} else if below, err = t.event(ctx, f, depth+1); err != nil {
			return err
		}
		n.Below = append(n.Below, below)
	}
	return nil
}

// emittedEvent finds an event that was appended about a time: by its runs, else in the partition of its key at that time; nil = not there.
func (t *tracer) emittedEvent(ctx context.Context, e function.Emitted, about time.Time) (*found, error) {
	if f := t.have[e.ID]; f != nil && f.record.Topic == e.Topic {
		return f, nil
	}
	f, err := t.api.findByIndex(ctx, e.ID, e.Topic)
	if f != nil || err != nil {
		if fault.KindOf(err) == fault.NotFound {
			return nil, nil
		}
		return f, err
	}
	topic, err := t.api.topic(ctx, e.Topic)
	if err != nil {
		if fault.KindOf(err) == fault.NotFound {
			return nil, nil
		}
		return nil, err
	}
	var ps []eventlog.Partition
	if e.Key != "" {
		ps = append(ps, eventlog.Partition{Topic: e.Topic, ID: eventlog.PartitionFor([]byte(e.Key), topic.Partitions)})
	}
	for id := range topic.Partitions { // the topic may have been widened since
		if p := (eventlog.Partition{Topic: e.Topic, ID: id}); !slices.Contains(ps, p) {
			ps = append(ps, p)
		}
	}
	return t.api.findAround(ctx, ps, e.ID, about, about)
}

// room says whether one more node may come below one of a depth.
func (t *tracer) room(depth int) bool {
	switch {
	case t.out.Nodes >= maxTraceNodes:
		t.full = true
		t.cut(fmt.Sprintf("the tree has more than %d nodes", maxTraceNodes))
		return false
	case depth >= maxTraceDepth:
		t.full = true
		t.cut(fmt.Sprintf("the tree is deeper than %d", maxTraceDepth))
		return false
	}
	return true
}

// span widens the time of the whole trace.
func (t *tracer) span(began time.Time, took time.Duration) {
	if began.IsZero() {
		return
	}
	if t.out.Began.IsZero() || began.Before(t.out.Began) {
		t.out.Began = began
	}
	if end := began.Add(took); end.After(t.out.Ended) {
		t.out.Ended = end
	}
}
