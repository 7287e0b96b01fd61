package body

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

func TestBodiesTakeNoMoreThanTheyMay(t *testing.T) {
	s, log := newStore(t, 1<<20)
	const length = 10_000
	s.quota.room = 5*length + length/2
	for range 3 {
		put(t, s, length)
	}
	// A node that begins sees what is there already.
	again, err := New(Options{Log: log, Most: 1 << 20, Room: s.quota.room})
	if err != nil {
		t.Fatal(err)
	}
	var stored, refused int
	var mu sync.Mutex
	var putting sync.WaitGroup
	for range 10 {
		putting.Go(func() {
			_, err := again.Put(t.Context(), make([]byte, length))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				stored++
			case fault.KindOf(err) == fault.Unavailable && fault.HintOf(err) != "":
				refused++
			default:
				t.Errorf("Put = %v", err)
			}
		})
	}
	putting.Wait()
	if stored != 2 || refused != 8 {
		t.Errorf("%d were stored and %d refused, want 2 and 8", stored, refused)
	}

	log.young = false
	if n, err := again.Sweep(t.Context(), nil); err != nil || n == 0 {
		t.Fatalf("Sweep = %d, %v", n, err)
	}
	again.quota.at = time.Time{}
	put(t, again, length)
}

// silent is a log that does not say what it holds.
type silent struct{ speaks bool }

func (s *silent) Size(ctx context.Context, _ string) (int64, error) {
	if s.speaks {
		return 0, nil
	}
	return 0, errors.Join(ctx.Err(), fault.New(fault.Denied, "%s is nobody's business", function.TopicBodies))
}

func TestALogThatDoesNotSayWhatItHoldsRefusesNobody(t *testing.T) {
	_, log := newStore(t, 1<<20)
	var said strings.Builder
	s, err := New(Options{Log: log, Most: 1 << 20, Room: 10_000_000, Logger: slog.New(slog.NewTextHandler(&said, nil))})
	if err != nil {
		t.Fatal(err)
	}
	is := &silent{}
	s.quota.sizer = is
	wantSaid := func(want int) {
		t.Helper()
		if n := strings.Count(said.String(), "\n"); n != want || strings.Count(said.String(), "nobody's business") != want {
			t.Errorf("the node's log has %d lines %q, want %d that give the reason", n, said.String(), want)
		}
	}
	again := func() {
		t.Helper()
		s.quota.at = time.Time{}
		put(t, s, 10_000)
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	s.quota.measure(gone) // a client that left; either way out of it says nothing
	s.quota.measure(gone)
	wantSaid(0)
	again()
	again()
	wantSaid(1)
	is.speaks = true
	again()
	is.speaks = false
	again()
	again()
	wantSaid(2)
	s.quota.sizer = nil
	put(t, s, 10_000)
	wantSaid(2)
}
