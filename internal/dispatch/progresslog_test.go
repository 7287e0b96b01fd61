package dispatch

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// counted is a log that counts the records that are read from it, and lets the first read of all wait.
type counted struct {
	eventlog.Log
	records atomic.Int64
	gate    chan struct{}
}

func (c *counted) Read(ctx context.Context, p eventlog.Partition, from int64, o eventlog.ReadOptions) ([]eventlog.Record, error) {
	<-c.gate
	rs, err := c.Log.Read(ctx, p, from, o)
	c.records.Add(int64(len(rs)))
	return rs, err
}

// However many topics' partitions begin at a time, the progress that they share is read once; what comes in between is read too.
func TestProgressIsReadOnceForAllThatBegin(t *testing.T) {
	w := newWorld(t, setting{partitions: 1})
	defer w.close()
	const places, each = 30, 100
	keys := make([]progressKeys, places)
	records := make([]eventlog.Record, 0, places*each)
	for i := range keys {
		keys[i] = keysOf(fmt.Sprint("topic", i), 0)
	}
	for n := range each {
		for i := range keys {
			records = append(records, keys[i].record(keys[i].scan(), scanRecord{position: int64(n), commit: int64(i)}.encode()))
		}
	}
	if _, err := w.disk.Append(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	log := &counted{Log: w.disk, gate: make(chan struct{})}
	l := newProgressLog(log)
	var all sync.WaitGroup
	for i := range keys {
		all.Go(func() {
			r, err := fold(t.Context(), l, keys[i])
			if err != nil || r.scan == nil || r.scan.position != each-1 || r.scan.commit != int64(i) {
				t.Errorf("fold(%s) = %+v, %v, want the newest record of its own", keys[i].place, r, err)
			}
		})
	}
	w.await("all to have asked", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.pages[0] != nil && l.pages[0].readers == places
	})
	close(log.gate)
	all.Wait()
	if got := log.records.Load(); got != places*each {
		t.Errorf("%d records were read for %d places, want each of %d once", got, places, places*each)
	}

	// Nothing is kept that could be out of date: a tombstone counts for the next who asks.
	if _, err := w.disk.Append(t.Context(), one(keys[0].record(keys[0].scan(), nil))); err != nil {
		t.Fatal(err)
	}
	if r, err := fold(t.Context(), l, keys[0]); err != nil || r.scan != nil || len(l.pages) != 0 {
		t.Errorf("fold() after a tombstone = %+v, %v, want nothing", r, err)
	}
	if b, err := w.disk.Bounds(t.Context(), eventlog.Partition{Topic: function.TopicProgress}); err != nil || b.End != places*each+1 {
		t.Fatalf("Bounds() = %+v, %v", b, err)
	}
}
