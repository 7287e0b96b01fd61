package nodes

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
)

type world struct {
	*testing.T
	log   *disk.Log
	ahead atomic.Int64 // of the clock that nodes have
}

func newWorld(t *testing.T) *world {
	t.Helper()
	l, err := disk.Open(disk.Options{Dir: "log", FS: vfs.NewMem(), FreeSpace: func() (uint64, uint64, error) { return 1 << 40, 1 << 41, nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if err := l.CreateTopic(t.Context(), eventlog.Topic{Name: place().Topic, Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	return &world{T: t, log: l}
}

// node runs one until stop is called.
func (w *world) node(id string, say func(context.Context) ([]byte, error)) (n *Nodes, stop func()) {
	w.Helper()
	began := time.Now()
	n, err := New(Options{Log: w.log, ID: id, Say: say, Every: 20 * time.Millisecond, Now: func() time.Time { return began.Add(time.Duration(w.ahead.Load())) }})
	if err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := n.Run(ctx); err != nil {
			w.Errorf("Run = %v", err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	w.Cleanup(stop)
	return n, stop
}

func (w *world) until(what string, there func() bool) {
	w.Helper()
	for deadline := time.Now().Add(20 * time.Second); !there(); runtime.Gosched() {
		if time.Now().After(deadline) {
			w.Fatalf("not in 20s: %s", what)
		}
	}
}

func heard(n *Nodes) (all string) {
	for _, h := range n.Others() {
		all += h.ID + "=" + string(h.Value) + " "
	}
	return all
}

func says(text string) func(context.Context) ([]byte, error) {
	return func(context.Context) ([]byte, error) { return []byte(text), nil }
}

func TestNodesHearOfEachOtherUntilTheyLeave(t *testing.T) {
	w := newWorld(t)
	var word atomic.Int64
	a, _ := w.node("a", says("one"))
	b, _ := w.node("b", func(context.Context) ([]byte, error) { return fmt.Appendf(nil, "word %d", word.Load()), nil })
	_, leave := w.node("c", says("three"))
	w.until("a hears the others, and not itself", func() bool { return heard(a) == "b=word 0 c=three " })
	w.until("b hears the others", func() bool { return heard(b) == "a=one c=three " })
	word.Store(7)
	w.until("a hears what is new", func() bool { return heard(a) == "b=word 7 c=three " })
	leave()
	w.until("c is gone", func() bool { return heard(a) == "b=word 7 " && heard(b) == "a=one " })
}

// TestANodeThatFallsSilentIsForgotten: it was killed. Each word comes twice.
func TestANodeThatFallsSilentIsForgotten(t *testing.T) {
	w := newWorld(t)
	a, _ := w.node("a", says("one"))
	w.until("a listens", func() bool {
		for range 2 {
			if _, err := w.log.Append(t.Context(), []eventlog.Record{{Topic: place().Topic, Key: []byte("killed"), Value: []byte("x")}}); err != nil {
				t.Fatal(err)
			}
		}
		return heard(a) == "killed=x "
	})
	w.ahead.Add(int64(missed*20*time.Millisecond) - 1)
	if got := heard(a); got != "killed=x " {
		t.Errorf("heard %q, want the node that may only be late", got)
	}
	w.ahead.Add(1)
	if got := heard(a); got != "" {
		t.Errorf("heard %q, want that it is forgotten", got)
	}
}

func TestWhatAnybodyMayHaveWrittenIsBounded(t *testing.T) {
	w := newWorld(t)
	n, err := New(Options{Log: w.log, ID: "a", Say: says("one")})
	if err != nil {
		t.Fatal(err)
	}
	n.hear(&eventlog.Record{Key: []byte("long"), Value: make([]byte, mostSaid+1)})
	n.hear(&eventlog.Record{Value: []byte("nobody's")})
	for i := range most + 5 {
		n.hear(&eventlog.Record{Key: fmt.Append(nil, i), Value: []byte("x")})
	}
	if got := len(n.Others()); got != most || heard(n)[:2] != "0=" {
		t.Errorf("%d nodes are remembered, want %d", got, most)
	}
}
