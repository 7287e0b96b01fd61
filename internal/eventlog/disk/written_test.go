package disk_test

import (
	"crypto/rand"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
)

func TestWrittenCountsWhatGoesToTheDisk(t *testing.T) {
	const size = 300_000
	value := make([]byte, size)
	rand.Read(value) // never fails: crypto/rand
	fs, r := vfs.NewMem(), prometheus.NewRegistry()
	l := mustOpen(t, disk.Options{Dir: "log", FS: fs, Metrics: r})
	newTopic(t, l, eventlog.Topic{Name: "x", Partitions: 1})
	before := l.Written()
	if _, err := l.Append(t.Context(), []eventlog.Record{{Topic: "x", Value: value}}); err != nil {
		t.Fatal(err)
	}
	after := l.Written()
	if got := after.WAL - before.WAL; got < size || got > size*11/10 {
		t.Errorf("Append(%d bytes) wrote %d bytes to the write-ahead log, want a little more than the record", size, got)
	}
	if after.All() != after.WAL+after.Flush+after.Compaction+after.Other || metric(t, r, "dalamb_log_disk_bytes_total") < 0 {
		t.Errorf("Written() = %+v, All() = %d, want the sum", after, after.All())
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	// The next start makes a table of what the write-ahead log held.
	l = mustOpen(t, disk.Options{Dir: "log", FS: fs})
	defer l.Close()
	if got := l.Written(); got.Flush < size || got.Flush > size*11/10 {
		t.Errorf("Open() after %d bytes = %+v, want them flushed once", size, got)
	}
}
