package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
	"github.com/dalamb/dalamb/internal/function"
)

// writesRow: what goes to the disk for each byte of records while the log is written to without a pause: the write-ahead log, the
// tables made of it, and the tables made of tables, counted below Pebble. Its yardstick is the bytes of the records.
func writesRow(ctx context.Context, b *bench) error {
	const total, partitions = 1 << 30, 8
	random := rand.NewChaCha8([32]byte{1})
	for _, c := range []struct {
		name string
		data func(p []byte)
	}{
		{"JSON", func(p []byte) { fillJSON(p, random) }},
		{"random bytes", func(p []byte) { _, _ = random.Read(p) }}, // never fails
	} {
		records, w, err := sustained(ctx, filepath.Join(b.dir, "writes", c.name), total, c.data)
		if err != nil {
			return err
		}
		per := func(bytes int64) float64 { return float64(bytes) / float64(records) }
		amplification := per(w.All())
		b.add(line{
			Case: fmt.Sprintf("%s, %d partitions", c.name, partitions), Unit: "GiB", Value: float64(w.All()) / (1 << 30), Yardstick: "the records",
			Of: float64(records) / (1 << 30), Ratio: spread{amplification, amplification, amplification}, Target: ratioAtMost(3),
		})
		b.note("%s: write-ahead log %.2f, flush %.2f, compaction %.2f", c.name, per(w.WAL), per(w.Flush), per(w.Compaction))
	}
	return nil
}

// fillJSON fills p with fields as events have them: names again and again, numbers and ids that differ.
func fillJSON(p []byte, random *rand.ChaCha8) {
	for text := p[:0]; len(text) < len(p); {
		text = fmt.Appendf(text, `{"order":"o-%d","id":"%016x","total":%d.%02d,"currency":"EUR","paid":true},`,
			random.Uint64()%1_000_000, random.Uint64(), random.Uint64()%1000, random.Uint64()%100)
		copy(p, text)
	}
}

// sustained appends records until there are so many bytes, and waits for what the log does about them behind its callers.
func sustained(ctx context.Context, dir string, total int64, data func(p []byte)) (records int64, w disk.Written, err error) {
	l, err := disk.Open(disk.Options{Dir: dir})
	if err != nil {
		return 0, w, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	if err := l.CreateTopic(ctx, eventlog.Topic{Name: function.TopicEvents}); err != nil {
		return 0, w, err
	}
	const writers, batch, size = 8, 50, 512
	pool := make([]byte, 8<<20)
	data(pool)
	var stored atomic.Int64
	g, gctx := errgroup.WithContext(ctx)
	for range writers {
		g.Go(func() error {
			for stored.Load() < total {
				records := make([]eventlog.Record, batch)
				for i := range records {
					at := rand.IntN(len(pool) - size)
					e := &event.Event{
						ID: event.NewID(), Source: "/bench", Type: "bench.written", Time: time.Now(), DataContentType: "application/json", Data: pool[at : at+size],
					}
					records[i] = eventlog.FromEvent(function.TopicEvents, e)
					stored.Add(recordBytes(records[i]))
				}
				if _, err := l.Append(gctx, records); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return 0, w, err
	}
	w, err = settled(ctx, l)
	return stored.Load(), w, err
}

// recordBytes is what the caller gave.
func recordBytes(r eventlog.Record) int64 {
	n := len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		n += len(h.Name) + len(h.Value)
	}
	return int64(n)
}

// settled waits until nothing has been written for a second.
func settled(ctx context.Context, l *disk.Log) (disk.Written, error) {
	w := l.Written()
	for {
		if err := pause(ctx, time.Second); err != nil {
			return w, err
		}
		now := l.Written()
		if now == w {
			return w, nil
		}
		w = now
	}
}
