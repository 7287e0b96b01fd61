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
		return nil, fault.New(fault.Invalid, "query parameter \"id\": none is given").WithHint("the id of an event or of a run, a W3C trace id, or TOPIC/PARTITION@OFFSET")
	}
	t := tracer{api: a, seen: map[string]bool{}, out: wire.Trace{ID: id, Roots: []wire.TraceNode{}}}
	if _, err := t.grow(r.Context(), id, q.text("topic"), true); err != nil {
		return nil, err
	}
	return &t.out, nil
}

// tracer makes one trace.
type tracer struct {
	api  *API
	seen map[string]bool // ids of events that are in the tree
	out  wire.Trace

	met func(*found, *function.Run) error // called with one of both for each node of which there is more than its name; nil = nobody wants to know
}

// grow makes the trees that an event, or a W3C trace, belongs to: from the first causes on, or from the event itself.
func (t *tracer) grow(ctx context.Context, id, topic string, causes bool) (roots []*found, err error) {
	starts, err := t.starts(ctx, id, topic)
	if err != nil {
		return nil, err
	}
	for _, f := range starts {
		root := f
		if causes || len(starts) > 1 {
			if root, err = t.climb(ctx, f); err != nil {
				return nil, err
			}
		}
		same := func(o *found) bool { return o.event.ID == root.event.ID }
		switch {
		case slices.ContainsFunc(roots, same):
		case len(roots) == maxTraceRoots:
			t.cut(fmt.Sprintf("only the first %d chains are shown", maxTraceRoots))
		default:
			roots = append(roots, root)
		}
	}
	slices.SortFunc(roots, func(x, y *found) int { return x.record.Time.Compare(y.record.Time) })
	for _, root := range roots {
		if t.seen[root.event.ID] {
			continue
		}
		n, err := t.event(ctx, root, 0)
		if err != nil {
			return nil, err
		}
		t.out.Roots = append(t.out.Roots, n)
	}
	return roots, nil
}

func (t *tracer) cut(what string) {
	if !slices.Contains(t.out.Cut, what) {
		t.out.Cut = append(t.out.Cut, what)
	}
}

// starts are the events that the id is about: one, or those of a W3C trace.
func (t *tracer) starts(ctx context.Context, id, topic string) ([]*found, error) {
	if !w3cTrace.MatchString(id) {
		f, err := t.api.find(ctx, id, topic)
		if err != nil {
			return nil, err
		}
		return []*found{f}, nil
	}
	ps, err := t.api.searched(ctx, topic)
	if err != nil {
		return nil, err
	}
	s := backward{log: t.api.log, now: t.api.now, most: maxTraceHits, want: func(e *event.Event) bool {
		parent := e.Extension(event.ExtTraceParent)
		return len(parent) >= 35 && parent[3:35] == id
	}}
	if err := s.run(ctx, ps); err != nil {
		return nil, err
	}
	if len(s.hits) == 0 {
		return nil, s.missing(fmt.Sprintf("no event is of the trace %s", id), topic)
	}
	if !s.whole {
		t.cut(fmt.Sprintf("no index knows trace ids: of the newest %d events, back to %s, these are of the trace", s.looked, s.since.UTC().Format(time.RFC3339)))
	}
	var all []*found
	for i := range s.hits {
		all = append(all, &found{record: s.hits[i], event: eventlog.EventOf(&s.hits[i]), how: s.how()})
	}
	return all, nil
}

// climb goes from an event to the one that caused it, and on to the first that can be found.
func (t *tracer) climb(ctx context.Context, f *found) (*found, error) {
	passed := map[string]bool{f.event.ID: true}
	for range maxTraceDepth {
		cause := f.event.Extension(event.ExtCausationID)
		if cause == "" {
			return f, nil
		}
		if passed[cause] {
			t.cut(fmt.Sprintf("event %s is among its own causes", fault.Clip(cause)))
			return f, nil
		}
		passed[cause] = true
		above, err := t.cause(ctx, cause, f.record.Time)
		if err != nil {
			return nil, err
		}
		if above == nil {
			t.cut(fmt.Sprintf("event %s, which caused %s, was not found: the log holds it no more, or no trigger ran it", fault.Clip(cause), fault.Clip(f.event.ID)))
			return f, nil
		}
		f = above
	}
	t.cut(fmt.Sprintf("the chain has more than %d causes", maxTraceDepth))
	return f, nil
}

// cause finds an event that caused another, which was appended at a time; nil = it cannot be found without a scan.
func (t *tracer) cause(ctx context.Context, id string, before time.Time) (*found, error) {
	f, err := t.api.findByIndex(ctx, id, "")
	if f != nil || err != nil && fault.KindOf(err) != fault.NotFound {
		return f, err
	}
	ps, err := t.api.searched(ctx, "")
	if err != nil {
		return nil, err
	}
	at, ok := timeOfID(id)
	if !ok {
		at = before
	}
	return t.api.findAround(ctx, ps, id, at, before)
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
		t.cut(fmt.Sprintf("the tree has more than %d nodes", maxTraceNodes))
		return false
	case depth >= maxTraceDepth:
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
