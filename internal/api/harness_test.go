package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/discovery"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/history"
	"github.com/dalamb/dalamb/internal/image"
	"github.com/dalamb/dalamb/internal/seal"
	"github.com/dalamb/dalamb/internal/secret"
	"github.com/dalamb/dalamb/internal/wire"
)

const token = "the-token"

// node is an API over a real log, catalog, history and code store. What runs functions is scripted.
type node struct {
	*testing.T
	log      *disk.Log
	control  *control
	catalog  *catalog.Catalog
	history  *history.History
	code     *image.Store
	script   *script
	services *discovery.Discovery
	api      *API
	url      string
	client   *client.Client
}

// control is the log as the catalog has it, which may refuse what is appended.
type control struct {
	eventlog.Log
	refuse func(*event.Event) error // nil = nothing
}

func (c *control) Append(ctx context.Context, records []eventlog.Record) ([]eventlog.Position, error) {
	for _, r := range records {
		e, err := eventlog.ToEvent(r)
		if err == nil && c.refuse != nil {
			err = c.refuse(e)
		}
		if err != nil {
			return nil, err
		}
	}
	return c.Log.Append(ctx, records)
}

// script stands for dispatch and fleet: it answers what a test tells it to, and keeps what it was asked.
type script struct {
	mu        sync.Mutex
	calls     []Call
	redrives  []Redrive
	discards  []wire.Discard
	edits     []*event.Event
	printed   string   // while a call runs
	pieces    [][]byte // of a result that is streamed, where the call takes one; nil = it is whole
	result    *function.Result
	err       error
	instances []wire.Instance

	lagTrouble error // why the lag of a trigger is partial

	isolated bool
	images   bool // its runner has file systems of its own
	lacks    []string
	log      eventlog.Log

	unfinished bool           // no trigger has finished any event
	parked     []*event.Event // by each trigger
}

// play says what becomes of the calls to come.
func (s *script) play(pieces [][]byte, result *function.Result, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pieces, s.result, s.err = pieces, result, err
}

// print says what the calls to come print.
func (s *script) print(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.printed = text
}

func (s *script) Call(_ context.Context, c Call) (*function.Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, c)
	if c.Tail != nil {
		_, _ = c.Tail.Write([]byte(s.printed))
	}
	if s.pieces != nil && c.Responder != nil {
		w, err := c.Responder.Respond(function.Head{Status: 200, Length: -1})
		for _, p := range s.pieces {
			if err == nil {
				_, err = w.Write(p)
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return s.result, s.err
}

func (s *script) Redrive(_ context.Context, r Redrive) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.redrives = append(s.redrives, r)
	return fmt.Sprint("job-", len(s.redrives)), s.err
}

// Discard writes what dispatch writes.
func (s *script) Discard(ctx context.Context, ids []string, reason string) error {
	s.mu.Lock()
	s.discards = append(s.discards, wire.Discard{IDs: ids, Reason: reason})
	s.mu.Unlock()
	var rs []eventlog.Record
	for _, id := range ids {
		rs = append(rs, eventlog.Record{Topic: function.TopicDead, Partition: eventlog.AnyPartition, Key: []byte(id)})
	}
	_, err := s.log.Append(ctx, rs)
	return err
}

func (s *script) Lag(context.Context, string) (map[TriggerRef]Lag, error) {
	return map[TriggerRef]Lag{{"pay", "invoke"}: {7, false}, {"pay", "on-order"}: {7, s.lagTrouble != nil}, {"other", "on-order"}: {1, false}}, s.lagTrouble
}

func (s *script) Positions(_ context.Context, t *catalog.Trigger) (map[int32]int64, error) {
	at := map[int32]int64{}
	for id := range int32(2) {
		b, err := s.log.Bounds(context.Background(), eventlog.Partition{Topic: t.Topic, ID: id})
		if err != nil {
			return nil, err
		}
		if at[id] = b.End; s.unfinished {
			at[id] = b.Start
		}
	}
	return at, nil
}

func (s *script) ParkedEvents(_ context.Context, _ *catalog.Trigger, each func(*event.Event) error) error {
	for _, e := range s.parked {
		if err := each(e); err != nil {
			return err
		}
	}
	return nil
}

// noReplays knows of no run.
type noReplays struct{}

func (noReplays) Report(*catalog.Replay) (function.ReplayReport, error) {
	return function.ReplayReport{Differences: []function.ReplayDifference{}}, nil
}

func (noReplays) Cancel(context.Context, string) error { return nil }

// noCopies copies nothing.
type noCopies struct{}

func (noCopies) Start(context.Context, function.Copy) (*catalog.Copy, error) {
	return nil, fault.New(fault.Unavailable, "no")
}

func (noCopies) Cancel(context.Context, string) error { return nil }

func (noCopies) Progress(context.Context, *catalog.Copy) (wire.CopyProgress, error) {
	return wire.CopyProgress{}, nil
}

func (noCopies) Place(context.Context, *catalog.Copy, string, map[int32]int64) (map[int32]int64, error) {
	return nil, nil
}

func (s *script) RedriveState(_ context.Context, job string) (wire.RedriveState, error) {
	return wire.RedriveState{Job: job, Finished: true}, nil
}

func (s *script) Edit(_ context.Context, _ string, e *event.Event, _ int) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.edits = append(s.edits, e)
	return "new", nil
}

func (s *script) Start(_ context.Context, v *function.Version) error {
	if v.Number == 1 {
		return nil
	}
	return fault.New(fault.Unavailable, "version %d does not start", v.Number)
}

func (s *script) Replaced() []wire.Replacement {
	return []wire.Replacement{
		{Instance: "pay-1-00", Function: "pay", Version: 1, Cause: "oom", Reason: "drawn", Times: 4, At: time.Unix(1, 0).UTC()},
		{Instance: "pay-1-01", Function: "pay", Version: 1, Cause: "oom", Reason: "drawn", Times: 5, At: time.Unix(2, 0).UTC()},
		{Instance: "ship-1-02", Function: "ship", Version: 1, Cause: "crash", Reason: "drawn", Times: 1, At: time.Unix(1, 0).UTC()},
	}
}

func (s *script) Troubles() []wire.Trouble {
	next := time.Unix(9, 0).UTC()
	return []wire.Trouble{
		{Function: "pay", Version: 1, Kind: "start", Reason: "drawn", Since: time.Unix(1, 0).UTC(), Times: 3, Next: &next},
		{Function: "ship", Kind: "reserved", Reason: "too many", Since: time.Unix(1, 0).UTC()},
	}
}

func (s *script) Instances() []wire.Instance {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.instances
}

func (s *script) Counts() map[string]int {
	counts := map[string]int{}
	for _, i := range s.Instances() {
		counts[i.Function]++
	}
	return counts
}

func newNode(t *testing.T) *node {
	t.Helper()
	dir := t.TempDir()
	l, err := disk.Open(disk.Options{Dir: "log", FS: vfs.NewMem(), FreeSpace: func() (uint64, uint64, error) { return 1 << 40, 1 << 41, nil }})
	ok(t, err)
	for _, topic := range []eventlog.Topic{
		{Name: function.TopicControl, Partitions: 1, Retention: eventlog.Forever, MaxBytes: eventlog.Forever},
		{Name: function.TopicDelayed, Partitions: 2, Compact: true, Retention: eventlog.Forever, MaxBytes: eventlog.Forever},
		{Name: function.TopicProgress, Partitions: 2, Compact: true, Retention: eventlog.Forever, MaxBytes: eventlog.Forever},
		{Name: function.TopicRuns, Partitions: 2}, {Name: function.TopicDead, Partitions: 2, Compact: true},
		{Name: function.TopicLogs, Partitions: 2}, {Name: function.TopicInvoke, Partitions: 2},
		{Name: function.TopicEvents, Partitions: 2}, {Name: function.TopicBuilds, Partitions: 2},
		{Name: function.TopicServices, Partitions: 1, Compact: true}, {Name: function.TopicSeals, Partitions: 1, Compact: true}, {Name: function.TopicCache, Partitions: 1},
	} {
		ok(t, l.CreateTopic(t.Context(), topic))
	}
	n := &node{T: t, log: l, control: &control{Log: l}, script: &script{isolated: true, log: l}}
	n.catalog, err = catalog.New(catalog.Options{Log: n.control})
	ok(t, err)
	n.history, err = history.Open(history.Options{Log: l, Dir: filepath.Join(dir, "history")})
	ok(t, err)
	n.code, err = image.Open(filepath.Join(dir, "code"))
	ok(t, err)
	box, err := secret.Open(t.Context(), secret.Options{File: filepath.Join(dir, "secret.key")})
	ok(t, err)
	n.services, err = discovery.New(discovery.Options{Log: l})
	ok(t, err)
	_, seals, err := seal.Over(seal.Options{Log: l, Box: box, Sealed: func(topic string) bool { return n.catalog.View().Rules(topic).Seal }})
	ok(t, err)
	a, err := New(Options{
		Seals: seals,
		Log:   l, Catalog: n.catalog, History: n.history, Dispatcher: n.script, Replays: noReplays{}, Fleet: n.script, Health: graded{}, Alerts: &noted{}, Usage: &used{}, Quotas: unbounded{}, Services: n.services, Code: alone{n.code}, Caller: n.script, Ticks: n.script, Delayed: n.script, Copies: noCopies{}, Secrets: box, Token: token,
		Runner: func(_ context.Context, name string) (wire.Runner, error) {
			if name != "oci:crun" {
				return wire.Runner{}, fault.New(fault.Unavailable, "the runner %s is not here", name).WithHint("install it")
			}
			return wire.Runner{Name: name, Isolated: true, Limits: []string{"memory", "cpu", "pids", "files", "tmp"}}, nil
		},
		Node: func(context.Context) wire.Node {
			return wire.Node{Version: "1.2.3", Gateway: "127.0.0.1:8080", Control: "127.0.0.1:8081", Runner: wire.Runner{Name: "native", Isolated: n.script.isolated, Images: n.script.images, Limits: []string{"memory", "cpu", "pids", "files", "tmp"}, Lacks: n.script.lacks}}
		},
	})
	ok(t, err)
	n.api = a
	server := httptest.NewServer(a)
	n.url = server.URL
	n.client, err = client.New(client.Options{Address: server.URL, Token: token})
	ok(t, err)

	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, run := range []func(context.Context) error{n.catalog.Run, n.history.Run, n.services.Run} {
		wg.Go(func() {
			if err := run(ctx); err != nil {
				t.Errorf("Run = %v", err)
			}
		})
	}
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		cancel()
		wg.Wait()
		ok(t, n.history.Close())
		ok(t, l.Close())
	})
	return n
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// upload packs a directory of one file and puts it.
func (n *node) upload(content string) (digest string) {
	n.Helper()
	dir := n.TempDir()
	ok(n, os.WriteFile(filepath.Join(dir, "run"), []byte(content), 0o700))
	var b bytes.Buffer
	digest, err := image.Pack(dir, &b)
	ok(n, err)
	ok(n, n.client.PutCode(n.Context(), digest, &b))
	return digest
}

// spec reads one function as its author would write it.
func spec(t testing.TB, manifest string) function.Spec {
	t.Helper()
	m, err := function.ParseManifest("dalamb.yaml", []byte(manifest))
	ok(t, err)
	return m.Functions[0].Spec
}

const payManifest = `
name: pay
code: .
entry: {type: stdio, command: [./run]}
triggers:
  - {name: on-order, topic: events, filter: {type: [order.validated]}, emit: {topic: events}}
  - {name: web, route: {method: POST, path: "/pay/{id}"}}
`

func (n *node) deploy(manifest, content string) wire.Deployed {
	n.Helper()
	d, err := n.client.Deploy(n.Context(), wire.DeployRequest{Spec: spec(n, manifest), Code: n.upload(content)})
	ok(n, err)
	return d
}

// emit appends events and returns where they stand.
func (n *node) emit(topic string, events ...*event.Event) []eventlog.Position {
	n.Helper()
	var rs []eventlog.Record
	for _, e := range events {
		rs = append(rs, eventlog.FromEvent(topic, e))
	}
	at, err := n.log.Append(n.Context(), rs)
	ok(n, err)
	return at
}

func fact(typ, key string, data any) *event.Event {
	b, err := json.Marshal(data)
	if err != nil {
		panic(err)
	}
	return &event.Event{ID: event.NewID(), Source: "/test", Type: typ, Subject: key, DataContentType: "application/json", Data: b}
}

// settle waits until catalog and history have seen all.
func (n *node) settle() {
	n.Helper()
	ctx, cancel := context.WithTimeout(n.Context(), 30*time.Second)
	defer cancel()
	ok(n, n.catalog.CatchUp(ctx))
	ok(n, n.history.CatchUp(ctx))
}

// answer is what a raw request got.
type answer struct {
	status int
	header http.Header
	body   string
}

// do sends a request with the token; header lines are "Name: value".
func (n *node) do(method, path, body string, header ...string) answer {
	n.Helper()
	req, err := http.NewRequestWithContext(n.Context(), method, n.url+path, strings.NewReader(body))
	ok(n, err)
	req.Header.Set("Authorization", "Bearer "+token)
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	ok(n, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	ok(n, err)
	return answer{resp.StatusCode, resp.Header, string(b)}
}

func (n *node) topicNames() string {
	n.Helper()
	ts, err := n.client.Topics(n.Context())
	ok(n, err)
	var names []string
	for _, t := range ts {
		if !t.System {
			names = append(names, t.Name)
		}
	}
	return strings.Join(names, " ")
}

func wantFault(t testing.TB, what string, err error, k fault.Kind, message, hint string) {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != k || !strings.Contains(f.Message, message) || !strings.Contains(f.Hint, hint) {
		t.Errorf("%s = %v (hint %q), want %v with %q, hint %q", what, err, fault.HintOf(err), k, message, hint)
	}
}

// alone is the code store of a node without others.
type alone struct{ *image.Store }

func (alone) Share(context.Context, string) (*function.Stored, error) { return nil, nil }

func (s *script) Last(context.Context) (map[int64]time.Time, error) { return nil, nil }

func (s *script) Sealed(context.Context, func(string) bool) (int, error) { return 0, nil }

func (s *script) List(context.Context, int, func(string) bool) ([]wire.Delayed, int, error) {
	return []wire.Delayed{}, 0, nil
}

func (s *script) Cancel(_ context.Context, id string) error {
	return fault.New(fault.NotFound, "no event %s is waiting", id)
}

// unbounded are quotas of which nothing is used up.
type unbounded struct{}

func (unbounded) Call(string) error              { return nil }
func (unbounded) Used() map[string]wire.QuotaUse { return nil }
