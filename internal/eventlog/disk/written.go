package disk

import (
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
)

// Written is what the log's files have been given since it was opened, in bytes. All of it together, for each byte of
// records, is the log's write amplification.
type Written struct {
	WAL        int64 // the write-ahead log
	Flush      int64 // tables made of what the write-ahead log held
	Compaction int64 // tables made of tables
	Other      int64 // manifests and settings
}

// All is the sum.
func (w Written) All() int64 { return w.WAL + w.Flush + w.Compaction + w.Other }

// Written counts what was written to the disk, also by what nobody has waited for yet.
func (l *Log) Written() Written { return l.guard.written.read() }

// written counts by what Pebble says a file is for.
type written struct{ wal, flush, compaction, other atomic.Int64 }

func (w *written) counter(c vfs.DiskWriteCategory) *atomic.Int64 {
	switch c {
	case "pebble-wal":
		return &w.wal
	case "pebble-memtable-flush":
		return &w.flush
	case "pebble-compaction":
		return &w.compaction
	}
	return &w.other
}

func (w *written) read() Written {
	return Written{WAL: w.wal.Load(), Flush: w.flush.Load(), Compaction: w.compaction.Load(), Other: w.other.Load()}
}

// writtenMetric shows Written to Prometheus.
type writtenMetric struct {
	log  *Log
	desc *prometheus.Desc
}

func newWrittenMetric(l *Log) *writtenMetric {
	return &writtenMetric{log: l, desc: prometheus.NewDesc("dalamb_log_disk_bytes_total", "Bytes that the log wrote to disk.", []string{"by"}, nil)}
}

// Describe is prometheus.Collector's.
func (m *writtenMetric) Describe(ch chan<- *prometheus.Desc) { ch <- m.desc }

// Collect is prometheus.Collector's.
func (m *writtenMetric) Collect(ch chan<- prometheus.Metric) {
	w := m.log.Written()
	for by, bytes := range map[string]int64{"wal": w.WAL, "flush": w.Flush, "compaction": w.Compaction, "other": w.Other} {
		ch <- prometheus.MustNewConstMetric(m.desc, prometheus.CounterValue, float64(bytes), by)
	}
}
