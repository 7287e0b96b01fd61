package purge

import (
	"context"
	"encoding/json"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
	"github.com/dalamb/dalamb/internal/function"
)

// caches tell a test what is emptied.
type caches chan string

func (c caches) Purge(function, trigger, path string) { c <- function + " " + trigger + " " + path }

func (c caches) wait(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-c:
		if got != want {
			t.Errorf("emptied %q, want %q", got, want)
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("nothing is emptied, want %q", want)
	}
}

// node is a follower on a real log and catalog.
type node struct {
	*testing.T
	log     *disk.Log
	catalog *catalog.Catalog
	caches  caches
}

func start(t *testing.T) *node {
	t.Helper()
	log, err := disk.Open(disk.Options{Dir: "log", FS: vfs.NewMem(), FreeSpace: func() (uint64, uint64, error) { return 1 << 40, 1 << 41, nil }})
	if err != nil {
		t.Fatal(err)
	}
	n := &node{T: t, log: log, caches: make(caches, 100)}
	for _, name := range []string{function.TopicControl, function.TopicInvoke, function.TopicCache, "events", "stock"} {
		n.topic(name)
	}
	if n.catalog, err = catalog.New(catalog.Options{Log: log}); err != nil {
		t.Fatal(err)
	}
	f, err := New(Options{Log: log, Catalog: n.catalog, Caches: n.caches})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var both sync.WaitGroup
	both.Go(func() { _ = n.catalog.Run(ctx) })
	if err := n.catalog.CatchUp(ctx); err != nil {
		t.Fatal(err)
	}
	both.Go(func() {
		if err := f.Run(ctx); err != nil {
			t.Errorf("Run = %v", err)
		}
	})
	follows := func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.reads[eventlog.Partition{Topic: function.TopicCache}]
	}
	for deadline := time.Now().Add(10 * time.Second); !follows(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("what people empty is not followed")
		}
	}
	t.Cleanup(func() {
		cancel()
		both.Wait()
		_ = log.Close()
	})
	return n
}

func (n *node) topic(name string) {
	n.Helper()
	if err := n.log.CreateTopic(context.Background(), eventlog.Topic{Name: name, Partitions: 1}); err != nil {
		n.Fatal(err)
	}
}

// deploy makes a function with a route of these rules.
func (n *node) deploy(name string, rules ...function.CachePurge) {
	n.Helper()
	route := function.Trigger{Name: "r", Route: &function.Route{Path: "/" + name, Cache: &function.Cache{MaxSize: 1 << 20, Purge: rules}}}
	v := function.Version{Code: "sha256:00", Spec: function.Spec{Name: name, Entry: function.Entry{Type: function.EntryHTTP}, Triggers: []function.Trigger{route}}}
	if _, err := n.catalog.Submit(context.Background(), catalog.Deploy{Version: v}); err != nil {
		n.Fatal(err)
	}
}

func (n *node) emit(topic, typ, subject, data string) {
	n.Helper()
	e := &event.Event{ID: event.NewID(), Source: "/test", Type: typ, Subject: subject, Data: []byte(data)}
	if _, err := n.log.Append(context.Background(), []eventlog.Record{eventlog.FromEvent(topic, e)}); err != nil {
		n.Fatal(err)
	}
}

func TestEventsEmptyWhatTheyName(t *testing.T) {
	n := start(t)
	n.deploy("shop",
		function.CachePurge{Topic: "stock", Filter: json.RawMessage(`{"type":["product.changed"]}`), Path: "/products/{subject}"},
		function.CachePurge{Topic: "stock", Filter: json.RawMessage(`{"type":["price.changed"]}`), Path: "/prices/{data.product.id}/{data.n}"},
		function.CachePurge{Topic: "stock", Filter: json.RawMessage(`{"type":["catalogue.printed"]}`)},
	)
	n.caches.wait(t, "shop r ") // what was kept before somebody followed
	for _, c := range []struct{ typ, subject, data, want string }{
		{"product.changed", "p-1", `{}`, "shop r /products/p-1"},
		{"product.moved", "p-1", `{}`, ""},
		{"price.changed", "", `{"product":{"id":"a/b"},"n":7}`, "shop r /prices/a/b/7"},
		{"price.changed", "", `{"product":[1]}`, "shop r "},
		{"product.changed", "", `{}`, "shop r "},
		{"catalogue.printed", "", `{}`, "shop r "},
	} {
		n.emit("stock", c.typ, c.subject, c.data)
		if c.want != "" {
			n.caches.wait(t, c.want)
		}
	}
	n.emit("events", "product.changed", "p-1", `{}`)
	n.emit("stock", "catalogue.printed", "", `{}`)
	n.caches.wait(t, "shop r ")
}

func TestPeopleEmptyWhatTheyName(t *testing.T) {
	n := start(t)
	n.deploy("shop", function.CachePurge{Topic: "events"})
	n.caches.wait(t, "shop r ") // the rule's topic is followed; so is that of people since before
	n.emit(function.TopicCache, event.TypeCachePurged, "shop", `not JSON`)
	n.emit(function.TopicCache, event.TypeCachePurged, "shop", `{"function":"shop","trigger":"r","path":"/x"}`)
	n.caches.wait(t, "shop r /x")
}

func TestATopicThatComesLaterIsFollowed(t *testing.T) {
	n := start(t)
	n.deploy("shop", function.CachePurge{Topic: "later"})
	n.topic("later")
	n.deploy("other") // a change of the catalog has the topics looked at
	n.caches.wait(t, "shop r ")
	n.emit("later", "a", "", `{}`)
	n.caches.wait(t, "shop r ")
	if err := n.log.DeleteTopic(context.Background(), "later"); err != nil {
		t.Fatal(err)
	}
	n.caches.wait(t, "shop r ") // who knows what it had told
}

func TestNewWantsItsParts(t *testing.T) {
	if _, err := New(Options{}); err == nil || !strings.Contains(err.Error(), "needs a log") {
		t.Errorf("New = %v", err)
	}
}
