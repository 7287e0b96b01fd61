package incident

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// redacted is what stands in a record in the place of a secret.
const redacted = "[redacted]"

// send sends the source events one after another. What cannot be sent is told, and counts as not run.
func (r *run) send(ctx context.Context) error {
	wide := map[string]int32{}
	for _, t := range r.Bundle.Topics {
		wide[t.Name] = t.Partitions
	}
	for _, s := range r.sources() {
		one, trace := Sent{ID: s.event.ID, Name: s.event.Type}, ""
		var err error
		switch {
		case s.event.Type == event.TypeRequestCompleted && s.record.Topic == function.TopicRequests:
			one, trace, err = r.request(ctx, s)
		default:
			if one.Why = unsendable(&s); one.Why == "" {
				one.Here = s.event.ID
				err = r.Append(ctx, []eventlog.Record{placed(s.record, wide)})
			}
		}
		if err != nil {
			return fmt.Errorf("send %s: %w", fault.Clip(s.event.ID), err)
		}
		r.out.Sent, r.traces = append(r.out.Sent, one), append(r.traces, trace)
	}
	return nil
}

// placed is a record for the partition that it stood in, where there is one of that number.
func placed(rec eventlog.Record, wide map[string]int32) eventlog.Record {
	again := eventlog.Record{Topic: rec.Topic, Partition: rec.Partition, Key: rec.Key, Headers: rec.Headers, Value: rec.Value}
	if rec.Partition < 0 || rec.Partition >= wide[rec.Topic] { // of dalamb's own topics the width is not known
		again.Partition = eventlog.AnyPartition
	}
	return again
}

// unsendable says why an event is not appended. A bundle may say anything: of dalamb's own topics only those are written that make functions run.
func unsendable(s *source) string {
	if why := s.event.Extension(event.ExtSealed); why != "" {
		return "its data was " + why + " when the bundle was made"
	}
	switch s.record.Topic {
	case function.TopicTicks:
		if s.event.Type != event.TypeScheduleTicked {
			return "it is no tick"
		}
		return ""
	case function.TopicInvoke:
		var q function.InvokeRequest
		if s.event.Type != event.TypeInvokeRequested || json.Unmarshal(s.event.Data, &q) != nil {
			return "it is no call"
		}
		if q.RedriveOf != "" || q.Version != 0 || q.Alias != "" && q.Alias != function.LiveAlias || q.Request != nil {
			return "it is a redrive, a call of a version or an alias, or a request that is answered later, and these are not made again"
		}
		return ""
	}
	if function.SystemTopic(s.record.Topic) || strings.HasPrefix(s.event.Type, "dalamb.") {
		return "it is one of dalamb's own events, which nobody can send"
	}
	return ""
}

// request sends a request again: to its route, or as the call by the control API that it was. The trace is how what came of it is found.
func (r *run) request(ctx context.Context, s source) (one Sent, trace string, err error) {
	var q function.Request
	if err := json.Unmarshal(s.event.Data, &q); err != nil {
		return Sent{ID: s.event.ID, Name: s.event.Type, Why: "its record cannot be read"}, "", nil
	}
	one = Sent{ID: s.event.ID, Name: q.Method + " " + q.Path}
	if q.BodySize != int64(len(q.Body)) {
		one.Why = fmt.Sprintf("its body has %d bytes, of which the record keeps %d", q.BodySize, len(q.Body))
		return one, "", nil
	}
	if q.Route == "" {
		made, err := r.Node.Invoke(ctx, client.Invocation{Function: q.Function, Payload: q.Body})
		if err != nil {
			one.Why = err.Error()
			return one, "", nil
		}
		one.Here = made.RequestID
		return one, "", nil
	}
	id := newTrace()
	req, err := r.httpRequest(ctx, &q)
	if err != nil {
		one.Why = "it cannot be made again: " + err.Error()
		return one, "", nil
	}
	req.Header.Set("Traceparent", "00-"+id+"-"+id[:16]+"-01")
	resp, err := r.HTTP.Do(req)
	if err != nil {
		return one, "", err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<20)); err != nil {
		r.note("the answer to %s was cut short: %v", one.Name, err)
	}
	return one, id, nil
}

// httpRequest is the request as it was, without what only the connection was about and without what its record does not have.
func (r *run) httpRequest(ctx context.Context, q *function.Request) (*http.Request, error) {
	path := q.Path
	if !strings.HasPrefix(path, "/") {
		return nil, fmt.Errorf("%q is no path", fault.Clip(path))
	}
	req, err := http.NewRequestWithContext(ctx, q.Method, strings.TrimRight(r.Gateway, "/")+path, bytes.NewReader(q.Body))
	if err != nil {
		return nil, err
	}
	for name, values := range q.Header {
		switch http.CanonicalHeaderKey(name) {
		case "Connection", "Content-Length", "Transfer-Encoding", "Upgrade", "Te", "Trailer", "Host", "Idempotency-Key":
			continue
		}
		if slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, redacted) }) {
			r.note("%s %s was sent without its %s, which the record does not keep", q.Method, path, name)
			continue
		}
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	for i := range r.Bundle.Functions {
		if v := r.Bundle.Functions[i].Chosen(); v.Spec.Name == q.Function {
			for _, of := range v.Spec.Routes() {
				if of.Trigger == q.Route && of.Route.Host != "" {
					req.Host = of.Route.Host
				}
			}
		}
	}
	return req, nil
}

// newTrace is a trace-id. W3C Trace Context, section 3.2.2.3.
func newTrace() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	b[0] |= 1              // not all zeros, neither here nor in the first half
	return hex.EncodeToString(b[:])
}
