package body

import (
	"context"
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
	again.quota.sizer = emptied{} // as when the log has compacted the topic
	again.quota.at = time.Time{}
	put(t, again, length)
}

type emptied struct{}

func (emptied) Size(context.Context, string) (int64, error) { return 0, nil }

// silent is a log that does not say what it holds.
type silent struct{}

func (silent) Size(context.Context, string) (int64, error) {
	return 0, fault.New(fault.Denied, "%s is nobody's business", function.TopicBodies)
}

func TestALogThatDoesNotSayWhatItHoldsRefusesNobody(t *testing.T) {
	s, _ := newStore(t, 1<<20)
	s.quota.room, s.quota.sizer = 10_000_000, silent{}
	put(t, s, 10_000)
	s.quota.sizer = nil
	put(t, s, 10_000)
}
