//go:build linux

package native

import (
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dalamb/dalamb/internal/runner"
)

func TestSpareThatDiedIsNotUsed(t *testing.T) {
	fences(t)
	r, err := New(Options{StateDir: t.TempDir() + "/state", Spare: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.spares.makers.Wait()
	if n := len(r.spares.waiting); n != 2 {
		t.Fatalf("%d spares wait, want 2", n)
	}
	for _, n := range r.spares.waiting {
		n.kill()
		n.wait()
	}
	sb, err := r.Start(t.Context(), runner.Spec{ID: "a", Base: "host", Network: "none", Command: []string{"true"}})
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	<-sb.Done()
	if e := sb.Exit(); e != (runner.Exit{}) {
		t.Errorf("Exit = %+v, want code 0", e)
	}
}

func TestSparesLeaveTheMemoryToOthers(t *testing.T) {
	for name, c := range map[string]struct {
		left int64
		want int
	}{
		"enough": {64 << 30, 5}, "not known": {-1, 5}, "short": {spareShare * spareCost * 3, 3}, "almost none": {spareCost, 0}, "none": {0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var left atomic.Int64
				left.Store(c.left)
				made := 0
				s := &spares{
					least: 5, most: 8, now: time.Now, log: slog.New(slog.DiscardHandler), over: make(chan struct{}), available: left.Load,
					make:    func(kind) (*nest, error) { made++; return &nest{}, nil },
					discard: func(*nest) { made-- },
				}
				s.begin()
				s.refill()
				time.Sleep(time.Second)
				synctest.Wait()
				if made != c.want {
					t.Errorf("%d spares wait with %d bytes left, want %d", made, c.left, c.want)
				}
				left.Store(0) // those that wait already are not for ever
				s.begin()
				s.refill()
				time.Sleep(time.Second)
				synctest.Wait()
				if made != 0 {
					t.Errorf("%d spares wait with no memory left, want none", made)
				}
				s.close()
			})
		})
	}
}

func TestSparesAreMadeWhenAStartHasSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var made, discarded atomic.Int32
		s := &spares{
			least: 2, most: 2, now: time.Now, log: slog.New(slog.DiscardHandler), over: make(chan struct{}),
			make:    func(kind) (*nest, error) { made.Add(1); return &nest{}, nil },
			discard: func(*nest) { discarded.Add(1) },
		}
		s.begin()
		s.refill()
		time.Sleep(settling - time.Nanosecond)
		synctest.Wait()
		if made := made.Load(); made != 0 {
			t.Errorf("%d spares were made while the function started, want none", made)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if made := made.Load(); made != 2 {
			t.Errorf("%d spares were made, want 2", made)
		}
		s.pop()
		s.begin()
		s.refill()
		s.close() // in the middle of the wait
		if made, discarded := made.Load(), discarded.Load(); made != 2 || discarded != 1 {
			t.Errorf("%d spares made and %d discarded, want 2 and 1: who closes waits for none", made, discarded)
		}
	})
}

// TestWithoutSparesNothingIsMadeAhead is a node whose sandbox.spares is 0.
func TestWithoutSparesNothingIsMadeAhead(t *testing.T) {
	fences(t)
	r, err := New(Options{StateDir: t.TempDir() + "/state", Spare: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"a", "b"} {
		sb, err := r.Start(t.Context(), runner.Spec{ID: id, Base: "host", Network: "none", Command: []string{"true"}})
		if err != nil {
			t.Fatalf("Start: %v", err)
		}
		<-sb.Done()
		r.spares.makers.Wait()
		if n := len(r.spares.waiting); n != 0 || sb.Exit() != (runner.Exit{}) {
			t.Errorf("after the start of %s %d spares wait, and it ended with %+v; want none, and code 0", id, n, sb.Exit())
		}
	}
}
