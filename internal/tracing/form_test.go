package tracing_test

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/dalamb/dalamb/internal/tracing"
)

// received are spans as a receiver reads them.
func received(t *testing.T, spans list) []*tracepb.Span {
	t.Helper()
	text, err := proto.Marshal(tracing.Scope(slices.Concat(spans...)))
	if err != nil {
		t.Fatal(err)
	}
	read := new(tracepb.ScopeSpans)
	if err := proto.Unmarshal(text, read); err != nil {
		t.Fatal(err)
	}
	if len(read.Spans) != len(spans) {
		t.Errorf("%d spans came of %d", len(read.Spans), len(spans))
	}
	if read.Scope.GetName() != "github.com/dalamb/dalamb" || len(read.ProtoReflect().GetUnknown()) != 0 {
		t.Errorf("the spans came as %v", read)
	}
	return read.Spans
}

// line is what a span says but for ids and times.
func line(s *tracepb.Span) string {
	parts := []string{strings.TrimPrefix(s.Kind.String(), "SPAN_KIND_"), s.Name}
	for _, kv := range s.Attributes {
		value := ""
		switch v := kv.Value.Value.(type) {
		case *common.AnyValue_StringValue:
			value = fmt.Sprintf("%q", v.StringValue)
		case *common.AnyValue_IntValue:
			value = fmt.Sprint(v.IntValue)
		case *common.AnyValue_BoolValue:
			value = fmt.Sprint(v.BoolValue)
		}
		parts = append(parts, kv.Key+"="+value)
	}
	for _, e := range s.Events {
		parts = append(parts, "event "+e.Name+" after "+fmt.Sprint(time.Duration(e.TimeUnixNano-s.StartTimeUnixNano)))
	}
	for _, l := range s.Links {
		parts = append(parts, fmt.Sprintf("link %s %s %x", hex.EncodeToString(l.TraceId), hex.EncodeToString(l.SpanId), l.Flags))
	}
	if s.Status != nil {
		parts = append(parts, s.Status.Code.String())
	}
	return strings.Join(parts, " | ")
}

const (
	given  = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	other  = "00-11111111111111111111111111111111-2222222222222222-00"
	nobody = "00-00000000000000000000000000000000-2222222222222222-01"
)

func TestWhatSpansSay(t *testing.T) {
	from := time.Unix(1000, 0)
	cases := []struct {
		make func(*tracing.Tracer)
		want string
	}{
		{func(tr *tracing.Tracer) {
			tr.Request(tracing.Request{Method: "PATCH", Scheme: "https", Host: "a.example", Path: "/x/1?a=b", Remote: "10.0.0.1", Agent: "curl"}).Answered("PATCH", "/x/{id}", 0)
		}, `SERVER | PATCH /x/{id} | url.path="/x/1" | url.scheme="https" | server.address="a.example" | http.request.method="PATCH" | url.query="a=b" | client.address="10.0.0.1" | user_agent.original="curl" | http.route="/x/{id}" | http.response.status_code=200`},
		{func(tr *tracing.Tracer) { tr.Request(tracing.Request{Method: "BREW"}).Answered("BREW", "", 599) },
			`SERVER | HTTP | url.path="" | url.scheme="http" | server.address="" | http.request.method="_OTHER" | http.request.method_original="BREW" | http.response.status_code=599 | error.type="599" | STATUS_CODE_ERROR`},
		{func(tr *tracing.Tracer) {
			i := tr.Invocation(tracing.Invocation{Function: "pay", Version: 3, ID: "i", Run: "r", Attempt: 2, Trigger: "paid", Shadow: true})
			i.Waited(from, from.Add(time.Second))
			i.Started("pay-1", from, from.Add(time.Millisecond), from.Add(time.Second))
			i.Invoked("failed", "crash", "pay-1", true)
		}, `INTERNAL | wait for an instance
INTERNAL | start an instance | faas.instance="pay-1" | event sandbox made after 1ms | event ready after 1s
CLIENT | invoke pay | faas.invoked_name="pay" | faas.invoked_provider="dalamb" | faas.version="3" | faas.invocation_id="i" | dalamb.run="r" | dalamb.attempt=2 | dalamb.trigger="paid" | dalamb.shadow=true | dalamb.outcome="failed" | faas.coldstart=true | faas.instance="pay-1" | error.type="crash" | STATUS_CODE_ERROR`},
		{func(tr *tracing.Tracer) { tr.Upstream("", "GET", "shop", "all").Answered("GET", "", 204) },
			`CLIENT | GET | http.request.method="GET" | dalamb.function="shop" | dalamb.trigger="all" | http.response.status_code=204`},
		{func(tr *tracing.Tracer) { tr.Send(tracing.Sending{Topic: "events", ID: "e", Events: 1}).End() },
			`PRODUCER | send events | messaging.system="dalamb" | messaging.operation.type="send" | messaging.operation.name="send" | messaging.destination.name="events" | messaging.message.id="e"`},
		{func(tr *tracing.Tracer) {
			tr.Send(tracing.Sending{Topic: "events", Events: 7}).Failed("unavailable")
		}, `PRODUCER | send events | messaging.system="dalamb" | messaging.operation.type="send" | messaging.operation.name="send" | messaging.destination.name="events" | messaging.batch.message_count=7 | error.type="unavailable" | STATUS_CODE_ERROR`},
		{func(tr *tracing.Tracer) {
			tr.Process(tracing.Processing{Parents: []string{given}, Redrive: other, Topic: "events", Partition: 2, Offset: -1, ID: "e", Function: "pay", Trigger: "paid", Run: "r", Attempt: 1}).Processed("succeeded", "")
		}, `CONSUMER | process events | messaging.system="dalamb" | messaging.operation.type="process" | messaging.operation.name="process" | messaging.destination.name="events" | messaging.destination.partition.id=2 | dalamb.offset=-1 | dalamb.function="pay" | dalamb.trigger="paid" | dalamb.run="r" | dalamb.attempt=1 | messaging.message.id="e" | dalamb.outcome="succeeded" | link 11111111111111111111111111111111 2222222222222222 300`},
		{func(tr *tracing.Tracer) {
			tr.Process(tracing.Processing{Parents: []string{given, nobody, other}, Topic: "t"}).Processed("succeeded", "")
		}, `CONSUMER | process t | messaging.system="dalamb" | messaging.operation.type="process" | messaging.operation.name="process" | messaging.destination.name="t" | messaging.destination.partition.id=0 | dalamb.offset=0 | dalamb.function="" | dalamb.trigger="" | dalamb.run="" | dalamb.attempt=0 | messaging.batch.message_count=3 | dalamb.outcome="succeeded" | link 0af7651916cd43dd8448eb211c80319c b7ad6b7169203331 301 | link 11111111111111111111111111111111 2222222222222222 300`},
	}
	for _, c := range cases {
		var to list
		c.make(tracing.New(&to, 1))
		var got []string
		for _, s := range received(t, to) {
			got = append(got, line(s))
		}
		if got := strings.Join(got, "\n"); got != c.want {
			t.Errorf("the spans say\n%s\nwant\n%s", got, c.want)
		}
	}
}

// TestWhereSpansStandInTheirTrace, and how long they took.
func TestWhereSpansStandInTheirTrace(t *testing.T) {
	var to list
	tr := tracing.New(&to, 1)
	first := tr.Request(tracing.Request{Method: "GET"})
	below := tr.Send(tracing.Sending{Parent: first.TraceParent(), Topic: "events"})
	below.End()
	first.End()
	tr.Request(tracing.Request{Method: "GET", Parent: given}).End()
	spans := received(t, to)
	b, f, g := spans[0], spans[1], spans[2]
	if got, want := fmt.Sprintf("00-%x-%x-01", f.TraceId, f.SpanId), first.TraceParent(); got != want || len(f.ParentSpanId) != 0 || f.Flags != 0x101 {
		t.Errorf("the first span is %s below %x with flags %x, want %s below none with flags 101", got, f.ParentSpanId, f.Flags, want)
	}
	if !slices.Equal(b.TraceId, f.TraceId) || !slices.Equal(b.ParentSpanId, f.SpanId) || slices.Equal(b.SpanId, f.SpanId) || b.Flags != 0x301 {
		t.Errorf("the second span is %x-%x below %x with flags %x, want it below the first with flags 301", b.TraceId, b.SpanId, b.ParentSpanId, b.Flags)
	}
	if got := fmt.Sprintf("00-%x-%x-01", g.TraceId, g.ParentSpanId); got != given {
		t.Errorf("the span of a request that has a traceparent is below %s, want %s", got, given)
	}
	if f.StartTimeUnixNano == 0 || b.StartTimeUnixNano < f.StartTimeUnixNano || b.EndTimeUnixNano < b.StartTimeUnixNano || f.EndTimeUnixNano < b.EndTimeUnixNano {
		t.Errorf("the times are %d-%d and within %d-%d", f.StartTimeUnixNano, f.EndTimeUnixNano, b.StartTimeUnixNano, b.EndTimeUnixNano)
	}
}
