package app_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/dalamb/dalamb/internal/app"
	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/function"
)

// chain is a desk that a request asks, which emits an order; pay, which listens to orders and emits that they are paid; and books, which take what was
// paid in batches of two.
func chain(t testing.TB, n *node) {
	t.Helper()
	code := directory(t, map[string]string{
		"desk.sh":  `cat >/dev/null; printf '{"specversion":"1.0","id":"x","source":"/desk","type":"order.placed","partitionkey":"k","data":{"parent":"%s"}}' "$TRACEPARENT"`,
		"pay.sh":   `cat >/dev/null; printf '{"specversion":"1.0","id":"x","source":"/pay","type":"order.paid","partitionkey":"k","data":{"parent":"%s"}}' "$TRACEPARENT"`,
		"books.sh": `cat >/dev/null`,
		"bad.sh":   `cat >/dev/null; echo 'no money: hunter2' >&2; exit 3`,
	})
	n.deploy(code, `
name: desk
entry: {type: stdio, command: [/bin/sh, desk.sh]}
triggers: [{name: orders, emit: {topic: events}, route: {method: POST, path: "/orders/{id}"}}]
`)
	n.deploy(code, `
name: pay
entry: {type: stdio, command: [/bin/sh, pay.sh]}
triggers: [{name: placed, filter: {type: [order.placed]}}]
`)
	n.deploy(code, `
name: books
entry: {type: stdio, command: [/bin/sh, books.sh]}
triggers: [{name: paid, topic: events, order: none, filter: {type: [order.paid]}, batch: {size: 2, window: 30s}}]
`)
	n.deploy(code, `
name: bad
entry: {type: stdio, command: [/bin/sh, bad.sh]}
triggers: [{name: bad, route: {path: /bad}}]
`)
}

// traced sends a request of a trace, "" = of none, and gives the status.
func (n *node) traced(method, path, parent string) int {
	n.t.Helper()
	var header []string
	if parent != "" {
		header = []string{"Traceparent", parent}
	}
	status, _, _ := n.ask(method, path, "{}", header...)
	return status
}

// child wants exactly one span of a name below a parent, and returns it.
func child(t *testing.T, r *receiver, name string, parent []byte) *tracepb.Span {
	t.Helper()
	var found *tracepb.Span
	until(t, fmt.Sprintf("span %q below %s", name, id(parent)), func() bool {
		for _, s := range r.spans(name) {
			if id(s.ParentSpanId) == id(parent) {
				found = s
			}
		}
		return found != nil
	})
	return found
}

// TestATraceGoesFromARequestThroughTheLog: request, function, emitted event, trigger, function, and a batch that links to what it is made of; by both
// protocols, with a header that no log line says.
func TestATraceGoesFromARequestThroughTheLog(t *testing.T) {
	for _, protocol := range []string{"grpc", "http/protobuf"} {
		t.Run(protocol, func(t *testing.T) {
			open := grpcReceiver
			if protocol != "grpc" {
				open = httpReceiver
			}
			r, endpoint := open(t)
			headers := filepath.Join(directory(t, map[string]string{"headers": "# of the receiver\nAuthorization: Bearer s3cr3t-of-the-receiver\n"}), "headers")
			n := start(t, t.TempDir(), "otlp.endpoint="+endpoint, "otlp.protocol="+protocol, "otlp.headers="+headers, "otlp.interval=1s")
			chain(t, n)

			const given, caller = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
			if status := n.traced("POST", "/orders/1?token=hunter2&size=7", "00-"+given+"-"+caller+"-01"); status != http.StatusOK {
				t.Fatalf("answer = %d, want 200", status)
			}
			request := child(t, r, "POST /orders/{id}", []byte{0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31})
			invoked := child(t, r, "invoke desk", request.SpanId)
			child(t, r, "start an instance", invoked.SpanId)
			sent := child(t, r, "send events", invoked.SpanId)
			processed := child(t, r, "process events", sent.SpanId)
			paid := child(t, r, "invoke pay", processed.SpanId)
			again := child(t, r, "send events", processed.SpanId)
			for _, s := range []*tracepb.Span{request, invoked, sent, processed, paid, again} {
				if id(s.TraceId) != given {
					t.Errorf("span %q is of trace %s, want %s", s.Name, id(s.TraceId), given)
				}
			}
			for _, c := range []struct {
				s         *tracepb.Span
				key, want string
			}{
				{request, "http.route", "/orders/{id}"}, {request, "url.path", "/orders/1"}, {request, "url.query", "token=[redacted]&size=7"},
				{invoked, "faas.invoked_name", "desk"}, {invoked, "dalamb.outcome", "succeeded"},
				{sent, "messaging.destination.name", "events"}, {processed, "dalamb.trigger", "placed"},
			} {
				if got := says(c.s, c.key); got != c.want {
					t.Errorf("span %q says %s = %q, want %q", c.s.Name, c.key, got, c.want)
				}
			}
			var parents []string
			for _, f := range n.facts(function.TopicEvents) {
				parents = append(parents, string(f.Data))
			}
			if all := strings.Join(parents, "\n"); !strings.Contains(all, id(invoked.SpanId)) || !strings.Contains(all, id(paid.SpanId)) {
				t.Errorf("the functions were told %s, want the spans of their invocations, %s and %s", all, id(invoked.SpanId), id(paid.SpanId))
			}

			// A second order fills the batch of books: a trace of its own, with links to both.
			if status := n.traced("POST", "/orders/2", ""); status != http.StatusOK {
				t.Fatalf("answer = %d, want 200", status)
			}
			var batch *tracepb.Span
			until(t, "the span of the batch", func() bool {
				for _, s := range r.spans("process events") {
					if says(s, "dalamb.trigger") == "paid" {
						batch = s
					}
				}
				return batch != nil
			})
			linked := map[string]bool{}
			for _, l := range batch.Links {
				linked[id(l.SpanId)] = true
			}
			if len(batch.ParentSpanId) != 0 || id(batch.TraceId) == given || len(batch.Links) != 2 || !linked[id(again.SpanId)] {
				t.Errorf("the batch has parent %q, trace %s and links %v; want none, a new one, and both events, %s among them", id(batch.ParentSpanId), id(batch.TraceId), linked, id(again.SpanId))
			}

			until(t, "metrics", func() bool {
				r.mu.Lock()
				defer r.mu.Unlock()
				return r.metrics["dalamb_invocations_total"] > 0 && r.metrics["process_cpu_seconds_total"] > 0
			})
			n.stop()
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.tokens["Bearer s3cr3t-of-the-receiver"] == 0 || len(r.tokens) != 1 {
				t.Errorf("the receiver was shown %v, want the header of the file each time", r.tokens)
			}
			if log := n.log.String(); strings.Contains(log, "s3cr3t") {
				t.Errorf("the log tells the header:\n%s", log)
			}
		})
	}
}

// TestARequestThatIsNoUTF8IsTracedAsOthersAre: a receiver refuses all that comes with a string that is none.
func TestARequestThatIsNoUTF8IsTracedAsOthersAre(t *testing.T) {
	for protocol, open := range map[string]func(testing.TB) (*receiver, string){"grpc": grpcReceiver, "http/protobuf": httpReceiver} {
		t.Run(protocol, func(t *testing.T) {
			r, endpoint := open(t)
			n := start(t, t.TempDir(), "otlp.endpoint="+endpoint, "otlp.protocol="+protocol, "otlp.interval=1s")
			chain(t, n)
			for _, path := range []string{"/orders/%ff%fe?size=%ff", "/orders/2"} {
				if status, _, _ := n.ask("POST", path, "{\xff}", "User-Agent", "browser\xff", "X-Request-Id", "a\xffb"); status != http.StatusOK {
					t.Errorf("answer to %s = %d, want 200", path, status)
				}
			}
			n.stop() // sends what waits
			if got := len(r.spans("POST /orders/{id}")); got != 2 {
				t.Errorf("%d requests came to the receiver, want 2", got)
			}
			if text := r.text(); !strings.Contains(text, "\ufffd") {
				t.Errorf("the spans are\n%s\nwant the path with what stands for letters that are none", text)
			}
		})
	}
}

// TestWhatIsNotSampledIsNotSentButErrorsAre, whoever decides that.
func TestWhatIsNotSampledIsNotSentButErrorsAre(t *testing.T) {
	r, endpoint := grpcReceiver(t)
	n := start(t, t.TempDir(), "otlp.endpoint="+endpoint, "otlp.sample=0", "otlp.metrics=false")
	chain(t, n)
	const sampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	n.traced("POST", "/orders/1", "")
	n.traced("POST", "/orders/2", strings.TrimSuffix(sampled, "01")+"00")
	until(t, "both orders to be paid", func() bool { return len(n.runs(client.RunQuery{Function: "pay"})) == 2 })
	if status := n.traced("GET", "/bad", ""); status != http.StatusBadGateway {
		t.Fatalf("answer = %d, want 502", status)
	}
	n.traced("POST", "/orders/3", sampled)
	n.stop() // sends what waits
	if got := len(r.spans("invoke desk")); got != 1 {
		t.Errorf("%d invocations of desk were sent, want the one of the sampled trace", got)
	}
	if got := len(r.spans("invoke bad")); got != 1 || len(r.spans("GET /bad")) != 1 {
		t.Errorf("%d invocations of bad were sent, want the one, with its request", got)
	}
	if all := r.text(); strings.Contains(all, "hunter2") {
		t.Errorf("the spans tell what the function printed:\n%s", all)
	}
}

// TestAReceiverThatIsNotThereHarmsNobody: it is said once, counted, and the stop does not wait for it.
func TestAReceiverThatIsNotThereHarmsNobody(t *testing.T) {
	n := start(t, t.TempDir(), "otlp.endpoint=http://127.0.0.1:1", "otlp.interval=1s", "drain=1s")
	chain(t, n)
	for i := range 20 {
		if status := n.traced("POST", fmt.Sprintf("/orders/%d", i), ""); status != http.StatusOK {
			t.Fatalf("answer = %d, want 200", status)
		}
	}
	until(t, "failed sendings to be counted", func() bool {
		page := n.page("/metrics")
		return strings.Contains(page, `dalamb_otlp_metrics_total{result="failed"}`) && !strings.Contains(page, `dalamb_otlp_spans_total{result="failed"} 0`)
	})
	n.stop()
	if lines := strings.Count(n.log.String(), "takes nothing"); lines < 1 || lines > 2 {
		t.Errorf("the log says %d times that the receiver takes nothing, want once for each signal:\n%s", lines, n.log)
	}
}

// page is what the control listener serves.
func (n *node) page(path string, header ...string) string {
	n.t.Helper()
	text, err := os.ReadFile(filepath.Join(n.data, app.NodeFile))
	if err != nil {
		n.t.Fatal(err)
	}
	var info app.NodeInfo
	if err := json.Unmarshal(text, &info); err != nil {
		n.t.Fatal(err)
	}
	r, err := http.NewRequest(http.MethodGet, info.Control+path, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+n.token)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		n.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	return string(body)
}
