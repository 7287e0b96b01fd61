package dispatch

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// progressLog reads _dalamb.progress for the partitions that begin. The partitions of that number of all topics have their progress in one
// partition of it: those that begin at the same time, as all do when a node starts, read it once for all of them.
type progressLog struct {
	log eventlog.Log

	mu    sync.Mutex
	pages map[int32]*page // that somebody reads
}

// page is one partition of _dalamb.progress as far as it was read.
type page struct {
	readers int           // under progressLog.mu
	turn    chan struct{} // holds a token while one reads, to whom the rest belongs
	next    int64
	newest  map[string][]byte // by key
}

func newProgressLog(log eventlog.Log) *progressLog {
	return &progressLog{log: log, pages: map[int32]*page{}}
}

// read returns the newest values of the keys of one place, and the end of the progress partition that they were read to, which is
// not before where that was at the call.
func (l *progressLog) read(ctx context.Context, keys progressKeys) (newest map[string][]byte, end int64, err error) {
	pg := l.open(keys.partition)
	defer l.close(keys.partition, pg)
	select {
	case pg.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, 0, fmt.Errorf("wait to read progress: %w", context.Cause(ctx))
	}
	defer func() { <-pg.turn }()
	if end, err = pg.readOn(ctx, l.log, keys.partition); err != nil {
		return nil, 0, err
	}
	newest = map[string][]byte{}
	for key, value := range pg.newest {
		if _, _, _, mine, _ := keys.parse(key); mine {
			newest[key] = value
		}
	}
	return newest, end, nil
}

func (l *progressLog) open(partition int32) *page {
	l.mu.Lock()
	defer l.mu.Unlock()
	pg := l.pages[partition]
	if pg == nil {
		pg = &page{turn: make(chan struct{}, 1), newest: map[string][]byte{}}
		l.pages[partition] = pg
	}
	pg.readers++
	return pg
}

// close forgets a page that nobody reads any more: it would only grow old.
func (l *progressLog) close(partition int32, pg *page) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if pg.readers--; pg.readers == 0 {
		delete(l.pages, partition)
	}
}

// readOn reads from where the page is to the end.
func (pg *page) readOn(ctx context.Context, log eventlog.Log, partition int32) (end int64, err error) {
	place := eventlog.Partition{Topic: function.TopicProgress, ID: partition}
	b, err := log.Bounds(ctx, place)
	if err != nil {
		return 0, fmt.Errorf("read the bounds of %s/%d: %w", place.Topic, place.ID, err)
	}
	for pg.next = max(pg.next, b.Start); pg.next < b.End; {
		rs, err := log.Read(ctx, place, pg.next, eventlog.ReadOptions{NoWait: true})
		if err != nil {
			return 0, fmt.Errorf("read %s/%d: %w", place.Topic, place.ID, err)
		}
		if len(rs) == 0 {
			break
		}
		for i := range rs {
			if key := string(rs[i].Key); rs[i].Value == nil {
				delete(pg.newest, key)
			} else {
				pg.newest[key] = slices.Clone(rs[i].Value)
			}
		}
		pg.next = rs[len(rs)-1].Offset + 1
	}
	return b.End, nil
}
