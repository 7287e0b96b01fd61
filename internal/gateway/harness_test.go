package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/entry"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

const testToken = "a-token-of-this-test"

// script is a fleet that does what the test says, for functions that take the body of a request whole.
type script func(ctx context.Context, c fleet.Call) (*function.Result, error)

func (s script) Invoke(ctx context.Context, c fleet.Call) (*function.Result, error) {
	if r := c.Invocation.Request; r != nil {
		if _, err := entry.KeepBody(r); err != nil {
			return nil, err
		}
	}
	return s(ctx, c)
}

// taking is a fleet whose functions get the body while it comes.
type taking func(ctx context.Context, c fleet.Call) (*function.Result, error)

func (f taking) Invoke(ctx context.Context, c fleet.Call) (*function.Result, error) { return f(ctx, c) }

// says is a fleet whose functions answer 200 with a text.
func says(text string) script {
	return func(context.Context, fleet.Call) (*function.Result, error) {
		return &function.Result{Outcome: function.Succeeded, Status: 200, Header: http.Header{"Content-Type": {"text/plain"}}, Body: []byte(text), Version: 1}, nil
	}
}

// sickLog is the real log, until the test says that it fails or has little room.
type sickLog struct {
	*disk.Log
	sick  atomic.Pointer[error]
	space atomic.Uint32
	calls atomic.Int64
}

func (l *sickLog) Append(ctx context.Context, records []eventlog.Record) ([]eventlog.Position, error) {
	l.calls.Add(1)
	if err := l.sick.Load(); err != nil {
		return nil, *err
	}
	return l.Log.Append(ctx, records)
}

func (l *sickLog) fail(err error)        { l.sick.Store(&err) }
func (l *sickLog) heal()                 { l.sick.Store(nil) }
func (l *sickLog) Space() eventlog.Space { return eventlog.Space(l.space.Load()) }

// node is a gateway on a real log and catalog, listening on loopback.
type node struct {
	*Gateway
	t       testing.TB
	log     *sickLog
	catalog *catalog.Catalog
	url     string
	said    *lines
	metrics *prometheus.Registry
	stop    func() // stops the listener, then Run, and waits for both
}

// lines is where the gateway's log goes.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// start makes a node; change may alter the gateway's options.
func start(t testing.TB, f Fleet, change ...func(*Options)) *node {
	t.Helper()
	inner, err := disk.Open(disk.Options{Dir: "log", FS: vfs.NewMem(), FreeSpace: func() (uint64, uint64, error) { return 1 << 40, 1 << 41, nil }})
	if err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, log: &sickLog{Log: inner}, said: &lines{}, metrics: prometheus.NewRegistry()}
	ctx, cancel := context.WithCancel(context.Background())
	for name, partitions := range map[string]int32{
		function.TopicControl: 1, function.TopicInvoke: 1, function.TopicRequests: 1, "events": 4, "orders": 1,
	} {
		if err := inner.CreateTopic(ctx, eventlog.Topic{Name: name, Partitions: partitions}); err != nil {
			t.Fatal(err)
		}
	}
	if n.catalog, err = catalog.New(catalog.Options{Log: inner}); err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.NewTextHandler(n.said, nil))
	o := Options{Log: n.log, Catalog: n.catalog, Fleet: f, Delay: waitingRoom{}, Token: testToken, Logger: logger, Metrics: n.metrics}
	for _, c := range change {
		c(&o)
	}
	if n.Gateway, err = New(o); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := Public(n.Gateway, logger)
	n.url = "http://" + l.Addr().String()
	var folding, recording, serving sync.WaitGroup
	folding.Go(func() { _ = n.catalog.Run(ctx) })
	runCtx, stopRun := context.WithCancel(ctx)
	recording.Go(func() {
		if err := n.Gateway.Run(runCtx); err != nil {
			t.Errorf("Run = %v", err)
		}
	})
	serving.Go(func() { _ = server.Serve(l) })
	n.stop = sync.OnceFunc(func() {
		_ = server.Close()
		serving.Wait()
		stopRun()
		recording.Wait()
	})
	t.Cleanup(func() {
		n.stop()
		cancel()
		folding.Wait()
		_ = inner.Close()
	})
	if err := n.catalog.CatchUp(ctx); err != nil {
		t.Fatal(err)
	}
	return n
}

// deploy makes a function whose triggers are these.
func (n *node) deploy(name string, triggers ...function.Trigger) {
	n.t.Helper()
	v := function.Version{Code: "sha256:00", Spec: function.Spec{Name: name, Entry: function.Entry{Type: function.EntryHTTP}, Triggers: triggers}}
	if _, err := n.catalog.Submit(context.Background(), catalog.Deploy{Version: v}); err != nil {
		n.t.Fatalf("deploy %s: %v", name, err)
	}
}

func route(name, method, path string) function.Trigger {
	return function.Trigger{Name: name, Route: &function.Route{Method: method, Path: path}}
}

// answer is what a client got.
type got struct {
	status int
	header http.Header
	body   string
}

func (g got) fault(t testing.TB) wire.Error {
	t.Helper()
	var b wire.ErrorBody
	if err := json.Unmarshal([]byte(g.body), &b); err != nil || b.Error.Kind == "" || b.Error.Message == "" {
		t.Fatalf("answer %d %q is not the JSON of an error: %v", g.status, g.body, err)
	}
	return b.Error
}

// send makes a request with the token; header pairs with an empty value are left out of the request.
func (n *node) send(method, path, body string, header ...string) got {
	n.t.Helper()
	req, err := http.NewRequest(method, n.url+path, strings.NewReader(body))
	if err != nil {
		n.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+testToken)
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
		if header[i+1] == "" {
			req.Header.Del(header[i])
			continue
		}
		req.Header.Set(header[i], header[i+1])
	}
	return n.do(req)
}

func (n *node) do(req *http.Request) got {
	n.t.Helper()
	return n.doWith(&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, req)
}

func (n *node) doWith(client *http.Client, req *http.Request) got {
	n.t.Helper()
	resp, err := client.Do(req)
	if err != nil {
		n.t.Fatalf("%s %s: %v", req.Method, req.URL, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		n.t.Fatalf("read the answer to %s %s: %v", req.Method, req.URL, err)
	}
	return got{resp.StatusCode, resp.Header, string(b)}
}

// records returns all that a topic holds now.
func (n *node) records(topic string) []eventlog.Record {
	n.t.Helper()
	ctx := context.Background()
	topics, err := n.log.Topics(ctx)
	if err != nil {
		n.t.Fatal(err)
	}
	var out []eventlog.Record
	for _, tp := range topics {
		for id := range tp.Partitions {
			if tp.Name != topic {
				continue
			}
			p := eventlog.Partition{Topic: topic, ID: id}
			b, err := n.log.Bounds(ctx, p)
			if err != nil {
				n.t.Fatal(err)
			}
			for at := b.Start; at < b.End; {
				rs, err := n.log.Read(ctx, p, at, eventlog.ReadOptions{NoWait: true})
				if err != nil {
					n.t.Fatal(err)
				}
				out = append(out, rs...)
				at = rs[len(rs)-1].Offset + 1
			}
		}
	}
	return out
}

func (n *node) events(topic string) []*event.Event {
	n.t.Helper()
	var out []*event.Event
	for _, r := range n.records(topic) {
		e, err := eventlog.ToEvent(r)
		if err != nil {
			n.t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

// requests waits until the record holds want calls, and returns them.
func (n *node) requests(want int) []function.Request {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	p := eventlog.Partition{Topic: function.TopicRequests}
	var out []function.Request
	for at := int64(0); len(out) < want; {
		rs, err := n.log.Read(ctx, p, at, eventlog.ReadOptions{})
		if err != nil {
			n.t.Fatalf("%d requests are in the record, want %d: %v", len(out), want, err)
		}
		for _, r := range rs {
			e, err := eventlog.ToEvent(r)
			if err != nil {
				n.t.Fatal(err)
			}
			var q function.Request
			if err := json.Unmarshal(e.Data, &q); err != nil {
				n.t.Fatal(err)
			}
			if e.Type != event.TypeRequestCompleted || e.Subject != q.Function || e.ID != q.ID {
				n.t.Errorf("record's event = %s %s %s, want %s of %s with the request's id", e.ID, e.Type, e.Subject, event.TypeRequestCompleted, q.Function)
			}
			out = append(out, q)
			at = r.Offset + 1
		}
	}
	return out
}

// metric reads one counter, summed over its labels.
func (n *node) metric(name string) float64 {
	n.t.Helper()
	families, err := n.metrics.Gather()
	if err != nil {
		n.t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.Metric {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

// giveToken makes a token that the node gives out.
func (n *node) giveToken(name, token string) {
	n.t.Helper()
	if _, err := n.catalog.Submit(context.Background(), catalog.AddToken{Name: name, Hash: sha256.Sum256([]byte(token))}); err != nil {
		n.t.Fatal(err)
	}
}

// until waits for what other goroutines bring about.
func (n *node) until(there func() bool) {
	n.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !there(); runtime.Gosched() {
		if time.Now().After(deadline) {
			n.t.Fatal("it did not come about in 10s")
		}
	}
}

// holdsNothing fails the test where bodies stay in memory when all is over. A client may have its answer a moment before the handler lets go of the body.
func (n *node) holdsNothing(t testing.TB) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); n.held.used.Load() != 0; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Errorf("%d bytes are held when all is over", n.held.used.Load())
			return
		}
	}
}

// followers is how many requests wait for the answer to another one.
func (n *node) followers() (waiting int) {
	for _, a := range n.routesNow().caches {
		a.mu.Lock()
		for _, f := range a.flights {
			waiting += f.followers
		}
		a.mu.Unlock()
	}
	return waiting
}
