package incoming

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/deliver/git"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/enginetest"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// world is a log, a catalog with the hook shop, a git server that does what it is told, and a provider.
type world struct {
	t       *testing.T
	log     eventlog.Log
	catalog *catalog.Catalog
	keeper  *Keeper
	git     *gitServer
	forge   *provider
	secrets map[string]string
	stop    func() // the duty; nil = it does not run
}

// gitServer brings what it is told of.
type gitServer struct {
	mu      sync.Mutex
	brought []git.Remote
	outcome func(r git.Remote) error // nil = it is delivered
	kept    map[string]bool          // what was asked for when hooks that are no more were dropped
}

type bringer struct {
	server *gitServer
	remote git.Remote
}

func (g *gitServer) Announce(r git.Remote) Bringer {
	return &bringer{g, r}
}

func (b *bringer) Bring(context.Context) error {
	b.server.mu.Lock()
	b.server.brought = append(b.server.brought, b.remote)
	outcome := b.server.outcome
	b.server.mu.Unlock()
	if outcome == nil {
		return nil
	}
	return outcome(b.remote)
}

func (b *bringer) Said() []string { return []string{"main " + b.remote.After} }
func (b *bringer) Tries() int     { return 1 }
func (b *bringer) Functions() []git.PushedFunction {
	return []git.PushedFunction{{Name: "pay", Version: 2, Alias: "live", Created: true}}
}

func (g *gitServer) Branches(_ context.Context, address, _ string, a git.Access) ([]string, error) {
	if a.Password != "t0ken" {
		return nil, fault.New(fault.Unavailable, "git cannot fetch from %s", address)
	}
	return []string{"main"}, nil
}

func (g *gitServer) DropRemotes(_ context.Context, keep func(string) bool) error {
	g.kept = map[string]bool{"shop": keep("shop"), "toys": keep("toys")}
	return nil
}

func (g *gitServer) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.brought)
}

// provider is the API of one.
type provider struct {
	url    string
	mu     sync.Mutex
	asked  []string // method, path, authorization, body
	answer func(n int) int
	news   chan struct{}
}

func newProvider(t *testing.T) *provider {
	p := &provider{news: make(chan struct{}, 1000)}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		p.mu.Lock()
		p.asked = append(p.asked, fmt.Sprintf("%s %s %s%s %s", r.Method, r.URL.EscapedPath(), r.Header.Get("Authorization"), r.Header.Get("Private-Token"), body))
		status := http.StatusCreated
		if p.answer != nil {
			status = p.answer(len(p.asked))
		}
		p.mu.Unlock()
		w.WriteHeader(status)
		p.news <- struct{}{}
	}))
	t.Cleanup(web.Close)
	p.url = web.URL
	return p
}

func (p *provider) all() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.asked...)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, git: &gitServer{}, forge: newProvider(t), secrets: map[string]string{"shop-hook": strings.Repeat("s", 32), "shop-token": "t0ken"}}
	var err error
	if w.log, err = enginetest.Open(enginetest.Options{}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{function.TopicControl, function.TopicHooks, function.TopicEvents} {
		w.ok(w.log.CreateTopic(context.Background(), eventlog.Topic{Name: name, Partitions: 1}))
	}
	if w.catalog, err = catalog.New(catalog.Options{Log: w.log}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	folded := make(chan error, 1)
	go func() { folded <- w.catalog.Run(ctx) }()
	t.Cleanup(func() {
		w.end()
		cancel()
		w.ok(errors.Join(<-folded, w.log.Close()))
	})
	for name := range w.secrets {
		w.submit(catalog.SetSecret{Name: name})
	}
	w.hook(func(*function.Hook) {})
	w.restart()
	return w
}

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) submit(c catalog.Change) {
	w.t.Helper()
	_, err := w.catalog.Submit(context.Background(), c)
	w.ok(err)
}

// hook sets the hook shop.
func (w *world) hook(change func(*function.Hook)) {
	w.t.Helper()
	h := function.Hook{Name: "shop", Provider: "github", URL: "https://git.example/acme/shop.git", Secret: "shop-hook", Token: "shop-token", API: w.forge.url}
	change(&h)
	w.ok(h.Validate())
	w.submit(catalog.SetHook{Hook: h})
}

// restart forgets what is in memory. The duty does not run then.
func (w *world) restart() {
	w.t.Helper()
	w.end()
	var err error
	w.keeper, err = New(Options{
		Log: w.log, Catalog: w.catalog, Git: w.git, Wait: time.Millisecond,
		Secret: func(name string) ([]byte, error) {
			if v, ok := w.secrets[name]; ok {
				return []byte(v), nil
			}
			return nil, fault.New(fault.Unavailable, "this node cannot read secret %s", name)
		},
	})
	w.ok(err)
}

// begin lets the duty run.
func (w *world) begin() {
	w.t.Helper()
	own := eventlog.Owned{Partition: eventlog.Partition{Topic: function.TopicHooks}, Commit: w.log.Append}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.keeper.Keep(ctx, own) }()
	w.stop = func() {
		cancel()
		w.ok(<-done)
	}
}

func (w *world) end() {
	if w.stop != nil {
		w.stop()
		w.stop = nil
	}
}

func told(id, after string) function.HookTold {
	return function.HookTold{ID: id, HookReceived: function.HookReceived{Hook: "shop", Delivery: id, Ref: "refs/heads/main", Before: "b", After: after, Pusher: "jane", Received: time.Now()}}
}

func (w *world) receive(t ...function.HookTold) (repeated bool) {
	w.t.Helper()
	repeated, err := w.keeper.Received(t)
	w.ok(err)
	return repeated
}

// events reads a topic until it has so many events of a type, and returns those.
func (w *world) events(topic, typ string, n int) (found []*event.Event) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for from := int64(0); len(found) < n; {
		rs, err := w.log.Read(ctx, eventlog.Partition{Topic: topic}, from, eventlog.ReadOptions{})
		if err != nil {
			w.t.Fatalf("%d events %s, want %d: %v", len(found), typ, n, err)
		}
		for _, r := range rs {
			e, err := eventlog.ToEvent(r)
			w.ok(err)
			if from = r.Offset + 1; e.Type == typ {
				found = append(found, e)
			}
		}
	}
	return found
}

// finished waits for the end of so many deliveries, and returns the last.
func (w *world) finished(n int) function.HookFinished {
	w.t.Helper()
	var f function.HookFinished
	w.ok(json.Unmarshal(w.events(function.TopicHooks, event.TypeHookFinished, n)[n-1].Data, &f))
	return f
}

// reported waits until the provider knows, or does not get to know, what came of so many deliveries.
func (w *world) reported(n int) function.HookReported {
	w.t.Helper()
	var r function.HookReported
	w.ok(json.Unmarshal(w.events(function.TopicHooks, event.TypeHookReported, n)[n-1].Data, &r))
	return r
}
