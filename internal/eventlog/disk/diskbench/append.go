// Package diskbench measures the log on disk against its yardstick, Pebble written to directly, in the same process and
// the same minute. It does not judge the figures.
package diskbench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
)

// Load is how the log is written to.
type Load struct {
	Writers int // at once, each waiting for its fsync before it goes on
	Batch   int // records in one call
}

// Loads are the rows of the table.
func Loads() []Load { return []Load{{1, 1}, {64, 1}, {1024, 1}, {1, 100}, {64, 100}} }

func (l Load) String() string { return fmt.Sprintf("writers=%d/batch=%d", l.Writers, l.Batch) }

// Rates are records per second, each durable when counted.
type Rates struct {
	Log float64
	Raw float64 // of Pebble with the log's options, one batch and one synced commit for each call
}

// Ratio is what is left of Pebble's speed.
func (r Rates) Ratio() float64 { return r.Log / r.Raw }

// recordBytes is the size of a value.
const recordBytes = 512

// turns is how often the two are measured, in turn, so that a slow moment of the machine meets both.
const turns = 6

// Append measures both in directories below dir for about d in all.
func Append(dir string, load Load, d time.Duration) (rates Rates, err error) {
	l, err := disk.Open(disk.Options{Dir: filepath.Join(dir, "log")})
	if err != nil {
		return rates, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	db, err := pebble.Open(filepath.Join(dir, "raw"), disk.PebbleOptions())
	if err != nil {
		return rates, fmt.Errorf("open raw pebble: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := l.CreateTopic(context.Background(), eventlog.Topic{Name: "bench"}); err != nil {
		return rates, err
	}
	var offset atomic.Uint64
	for range turns {
		raw, err := measure(load, d/turns/2, func(value []byte) error { return appendRaw(db, &offset, load.Batch, value) })
		if err != nil {
			return rates, fmt.Errorf("write to raw pebble: %w", err)
		}
		own, err := measure(load, d/turns/2, func(value []byte) error { return appendLog(l, load.Batch, value) })
		if err != nil {
			return rates, err
		}
		rates.Raw += raw / turns
		rates.Log += own / turns
	}
	return rates, nil
}

// measure runs call in all writers for d and returns records per second.
func measure(load Load, d time.Duration, call func(value []byte) error) (float64, error) {
	var done atomic.Int64
	var writers sync.WaitGroup
	errs := make([]error, load.Writers)
	begun := time.Now()
	for w := range load.Writers {
		writers.Go(func() {
			value := make([]byte, recordBytes)
			for i := range value {
				value[i] = byte(i * (w + 7) >> 3)
			}
			for time.Since(begun) < d && errs[w] == nil {
				errs[w] = call(value)
				done.Add(int64(load.Batch))
			}
		})
	}
	writers.Wait()
	return float64(done.Load()) / time.Since(begun).Seconds(), errors.Join(errs...)
}

func appendRaw(db *pebble.DB, offset *atomic.Uint64, n int, value []byte) error {
	b := db.NewBatch()
	var key [17]byte
	for range n {
		binary.BigEndian.PutUint64(key[9:], offset.Add(1))
		if err := b.Set(key[:], value, nil); err != nil {
			return err
		}
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return err
	}
	return b.Close()
}

func appendLog(l *disk.Log, n int, value []byte) error {
	rs := make([]eventlog.Record, n)
	for i := range rs {
		rs[i] = eventlog.Record{Topic: "bench", Partition: eventlog.AnyPartition, Value: value}
	}
	_, err := l.Append(context.Background(), rs)
	return err
}
