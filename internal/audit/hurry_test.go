package audit

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/dalamb/dalamb/internal/eventlog"
)

// burst is a log with one partition, whose records are all alike. It counts how often all of it is looked at.
type burst struct{ end, looks atomic.Int64 }

func (b *burst) Topics(context.Context) ([]eventlog.Topic, error) {
	b.looks.Add(1)
	return []eventlog.Topic{{Name: "orders", ID: "t1", Partitions: 1}}, nil
}

func (b *burst) Bounds(_ context.Context, p eventlog.Partition) (eventlog.Bounds, error) {
	if p.Topic != "orders" {
		return eventlog.Bounds{}, nil
	}
	return eventlog.Bounds{End: b.end.Load()}, nil
}

func (b *burst) Read(_ context.Context, p eventlog.Partition, from int64, _ eventlog.ReadOptions) (rs []eventlog.Record, err error) {
	if p.Topic != "orders" {
		return nil, nil
	}
	for ; from < b.end.Load() && len(rs) < 100; from++ {
		rs = append(rs, eventlog.Record{Topic: p.Topic, Offset: from, Time: time.UnixMilli(from), Value: []byte("x")})
	}
	return rs, nil
}

func (b *burst) CreateTopic(context.Context, eventlog.Topic) error { return nil }

func (b *burst) Append(context.Context, []eventlog.Record) ([]eventlog.Position, error) {
	return []eventlog.Position{{}}, nil
}

// nobody is a place outside that takes all and keeps nothing.
type nobody struct{}

func (nobody) String() string                                       { return "nobody" }
func (nobody) Last(context.Context, note.Verifier) (*Signed, error) { return nil, nil }
func (nobody) Add(context.Context, note.Verifier, []*Signed) error  { return nil }

// What grows fast is hashed while it is in the log's memory, and what does not waits for the look at all.
func TestWhatGrowsFastIsHashedSooner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &burst{}
		k, err := New(Options{Log: log, Dir: t.TempDir(), Outside: nobody{}, Look: 8 * time.Second, Every: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		log.end.Store(fast)
		go func() {
			defer close(ended)
			if err := k.Run(ctx); err != nil {
				t.Error(err)
			}
		}()
		hashed := func() int64 {
			synctest.Wait()
			k.mu.Lock()
			defer k.mu.Unlock()
			return k.trees[treeID{"t1", 0}].front.n
		}
		time.Sleep(100 * time.Millisecond)
		if got := hashed(); got != fast {
			t.Fatalf("%d records were hashed at first, want %d", got, fast)
		}
		log.end.Add(fast)
		time.Sleep(8 * time.Second)
		looks := log.looks.Load()
		for i, c := range []struct {
			add, want int64
			why       string
		}{
			{fast, 3 * fast, "it grew fast, so an eighth later it is looked at"},
			{10, 3*fast + 10, "it still did"},
			{10, 3*fast + 10, "it does no more, so that it waits for the others"},
		} {
			log.end.Add(c.add)
			time.Sleep(time.Second)
			if got := hashed(); got != c.want || log.looks.Load() != looks {
				t.Errorf("second %d: %d records are hashed, and all was looked at %d times, want %d and none: %s", i, got, log.looks.Load()-looks, c.want, c.why)
			}
		}
		time.Sleep(5 * time.Second)
		if got := hashed(); got != 3*fast+20 {
			t.Errorf("%d records are hashed after a look at all, want %d", got, 3*fast+20)
		}
		cancel()
		<-ended
	})
}

// A topic of the same name is another one: what was seen of the first contradicts nothing of it.
func TestATopicMadeAnewBetweenTwoLooksIsNoContradiction(t *testing.T) {
	r := newRig(t)
	topic := eventlog.Topic{Name: "orders", Partitions: 1}
	r.topic(topic)
	r.emit("orders", 0, fast)
	r.sign()
	if err := r.log.DeleteTopic(t.Context(), "orders"); err != nil {
		t.Fatal(err)
	}
	r.topic(topic)
	r.emit("orders", 0, 5)
	r.keep.hurry(t.Context())
	if s := r.keep.State(); s.Trouble != "" {
		t.Fatalf("State = %+v, want no trouble", s)
	}
	r.sign()
	r.clean()
}
