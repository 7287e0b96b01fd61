package audit

import (
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
)

// BenchmarkFollow is what the audit of a record costs, with the reading of it: of a log that stores small events a hundred at a time, and has them in memory still or in
// its files.
func BenchmarkFollow(b *testing.B) {
	for _, size := range []int{8, 512} {
		b.Run(fmt.Sprintf("%d bytes in memory", size), func(b *testing.B) { benchmarkFollow(b, size, false) })
		b.Run(fmt.Sprintf("%d bytes in files", size), func(b *testing.B) { benchmarkFollow(b, size, true) })
	}
}

func benchmarkFollow(b *testing.B, size int, later bool) {
	o := disk.Options{Dir: filepath.Join(b.TempDir(), "log"), SweepEvery: time.Hour}
	log, err := disk.Open(o)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { log.Close() }()
	if err := log.CreateTopic(b.Context(), eventlog.Topic{Name: "orders", Partitions: 1}); err != nil {
		b.Fatal(err)
	}
	const calls, each = 300, 100
	for range calls {
		var rs []eventlog.Record
		for range each {
			e := &event.Event{ID: event.NewID(), Source: "/bench", Type: "bench.many", Time: time.Now(), DataContentType: "application/json", Data: make([]byte, size)}
			rs = append(rs, eventlog.FromEvent("orders", e))
		}
		if _, err := log.Append(b.Context(), rs); err != nil {
			b.Fatal(err)
		}
	}
	if later { // what a log finds in its write-ahead log it puts into files
		if err := log.Close(); err != nil {
			b.Fatal(err)
		}
		if log, err = disk.Open(o); err != nil {
			b.Fatal(err)
		}
	}
	topics, err := log.Topics(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	var h hasher
	b.ReportAllocs()
	before := cpuTime(b)
	for i := 0; b.Loop(); i++ {
		t, err := openTree(filepath.Join(dir, fmt.Sprint(i)), treeID{topics[0].ID, 0}, "orders", nil)
		if err != nil {
			b.Fatal(err)
		}
		n, err := t.follow(b.Context(), log, &h)
		if err != nil || n != calls*each {
			b.Fatalf("follow = %d, %v, want %d records", n, err, calls*each)
		}
	}
	b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(b.N*calls*each), "cpu-ns/record")
}

// cpuTime is that of the process, which other work on the machine makes no longer.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
