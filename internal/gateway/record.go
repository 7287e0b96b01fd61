package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// keptBody is how much of a body stays in the record, in bytes.
const keptBody = 64 << 10

// record is a call as it will stand in _dalamb.requests. It is made on the call's way and encoded off it, so it keeps
// no more of the request and the result than will be written.
type record struct {
	function, route string
	id, run, trace  string
	attempt         int
	identity        *function.Identity
	chain           function.Chain
	method, remote  string
	url             *url.URL
	header          http.Header
	body, answer    []byte
	bodySize        int64
	answerSize      int64
	res             function.Result // without body, header and events
	start           time.Time
	took            time.Duration
	names           []function.Emitted
	redact          *redactor
	none            bool // the route wants none
}

func newRecord(c *Call, inv *function.Invocation, res *function.Result) *record {
	body, size := c.Body, int64(len(c.Body))
	switch {
	case c.Payload != nil:
		body, size = c.Payload, int64(len(c.Payload))
	case c.upload != nil:
		body, size = c.upload.kept()
	}
	r := &record{
		function: c.Function, id: inv.ID, run: inv.Run, attempt: inv.Attempt, trace: inv.TraceParent, route: inv.Trigger, identity: c.Identity, chain: c.Chain,
		method: c.Request.Method, remote: c.Request.RemoteAddr, url: c.URL, header: c.Request.Header,
		body: cut(body), bodySize: size, answer: cut(res.Body),
	}
	if r.url == nil {
		r.url = c.Request.URL
	}
	r.result(res)
	return r
}

// keep leaves out what the route does not want to stay.
func (r *record) keep(what function.Record) {
	switch what {
	case function.RecordNone:
		r.none = true
	case function.RecordMeta:
		r.body, r.answer = nil, nil
	}
}

// result sets what came of the call.
func (r *record) result(res *function.Result) {
	r.res, r.answerSize = *res, max(int64(len(res.Body)), res.Streamed)
	r.res.Body, r.res.Header, r.res.Trailer, r.res.Events = nil, nil, nil, nil
}

// cut keeps the beginning of a body. A long one is copied, so that the rest of it can go.
func cut(b []byte) []byte {
	if len(b) > keptBody {
		return bytes.Clone(b[:keptBody])
	}
	return b
}

// encode makes the request.completed event.
func (r *record) encode() eventlog.Record {
	req := function.Request{
		ID: r.id, Function: r.function, Version: r.res.Version, Route: r.route,
		Method: r.method, Path: r.redact.path(r.url), Remote: r.remote, Header: r.redact.header(r.header),
		Body: r.body, BodySize: r.bodySize, Status: r.res.Status, Outcome: r.res.Outcome, Failure: showable(r.res.Failure),
		Answer: r.answer, AnswerSize: r.answerSize, Abandoned: r.res.Abandoned, Start: r.start, Duration: function.Duration(r.took),
		Cold: r.res.Cold, Emitted: r.names, Instance: r.res.Instance,
	}
	if r.run != r.id {
		req.Run, req.Attempt = r.run, r.attempt
	}
	data, err := json.Marshal(&req)
	if err != nil { // showable has seen to the one part that could be no JSON
		panic(fmt.Sprintf("encode %T: %v", req, err))
	}
	// Calls of one function have no order among them: the key spreads them over the partitions.
	extensions := map[string]any{event.ExtPartitionKey: r.id, event.ExtTraceParent: r.trace}
	if r.identity != nil {
		extensions[event.ExtAuthType], extensions[event.ExtAuthID] = r.identity.Type, r.identity.ID
	}
	caused(extensions, &r.chain)
	return eventlog.FromEvent(function.TopicRequests, &event.Event{
		ID: r.id, Source: "/dalamb/gateway", Type: event.TypeRequestCompleted, Subject: r.function, Time: r.start,
		DataContentType: "application/json", Data: data, Extensions: extensions,
	})
}

// showable leaves out a stack trace that is no JSON.
func showable(f *function.Failure) *function.Failure {
	if f == nil || f.Trace == nil || json.Valid(f.Trace) {
		return f
	}
	return &function.Failure{Type: f.Type, Message: f.Message}
}

// held is about how much memory the record keeps while it waits.
func (r *record) held() int64 {
	return int64(len(r.body)+len(r.answer)) + 2<<10
}

// Bounds of what waits to be recorded. Beyond them calls go on, without a record.
const (
	maxWaiting      = 8192     // records
	maxWaitingBytes = 32 << 20 // their bodies
	maxBatch        = 1024     // records in one append
)

// gather is how long the first record of a batch waits for others. An append costs an fsync and some changes of goroutine, so
// many small ones would take from the calls what they need; a crash loses this much more of what it may lose anyway.
const gather = 25 * time.Millisecond

// recorder writes the records of calls that need not wait for it, in batches.
type recorder struct {
	log     Log
	logger  *slog.Logger
	metrics *metrics
	queue   chan *record
	bytes   atomic.Int64
}

func newRecorder(l Log, logger *slog.Logger, m *metrics) *recorder {
	return &recorder{log: l, logger: logger, metrics: m, queue: make(chan *record, maxWaiting)}
}

// offer never blocks.
func (r *recorder) offer(rec *record) {
	if rec.none {
		return
	}
	n := rec.held()
	if r.bytes.Add(n) > maxWaitingBytes {
		r.bytes.Add(-n)
		r.metrics.dropped.WithLabelValues(dropFull).Inc()
		return
	}
	select {
	case r.queue <- rec:
	default:
		r.bytes.Add(-n)
		r.metrics.dropped.WithLabelValues(dropFull).Inc()
	}
}

// run appends until ctx is done and the queue is empty.
func (r *recorder) run(ctx context.Context) error {
	batch := make([]*record, 0, maxBatch)
	down := false
	for {
		batch = r.next(ctx, batch[:0])
		if len(batch) == 0 {
			return nil
		}
		err := r.append(ctx, batch)
		switch {
		case err != nil && !down:
			r.logger.Warn("calls go on without a record", "topic", function.TopicRequests, "err", err)
		case err == nil && down:
			r.logger.Info("calls are recorded again", "topic", function.TopicRequests)
		}
		down = err != nil
		clear(batch) // what was written can go
	}
}

// next gathers a batch. It is empty when ctx is done and nothing waits.
func (r *recorder) next(ctx context.Context, batch []*record) []*record {
	select {
	case rec := <-r.queue:
		batch = append(batch, rec)
		select {
		case <-time.After(gather):
		case <-ctx.Done():
		}
	case <-ctx.Done():
	}
	for len(batch) < maxBatch && len(r.queue) > 0 {
		batch = append(batch, <-r.queue)
	}
	return batch
}

func (r *recorder) append(ctx context.Context, batch []*record) error {
	records := make([]eventlog.Record, len(batch))
	held := int64(0)
	for i, rec := range batch {
		records[i] = rec.encode()
		held += rec.held()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	_, err := r.log.Append(ctx, records)
	r.bytes.Add(-held)
	if err != nil {
		r.metrics.dropped.WithLabelValues(dropLog).Add(float64(len(batch)))
		return err
	}
	r.metrics.recorded.Add(float64(len(batch)))
	return nil
}
