package app

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

const (
	logQueue = 4096 // lines that may wait for the log
	logBatch = 512  // lines of one append
)

// logSink takes the functions' lines to _dalamb.logs. A function never waits for it: lines that find the queue full are
// dropped and counted, as they are while the disk is nearly full.
type logSink struct {
	log     eventlog.Log
	logger  *slog.Logger
	lines   chan function.LogLine
	dropped atomic.Int64
}

func newLogSink(log eventlog.Log, logger *slog.Logger, metrics prometheus.Registerer) *logSink {
	s := &logSink{log: log, logger: logger, lines: make(chan function.LogLine, logQueue)}
	metrics.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "dalamb_log_lines_dropped_total", Help: "Lines of functions that did not reach the log.",
	}, func() float64 { return float64(s.dropped.Load()) }))
	return s
}

// write never blocks.
func (s *logSink) write(l function.LogLine) {
	select {
	case s.lines <- l:
	default:
		s.dropped.Add(1)
	}
}

// run appends until ctx is done, then what still waits, and returns.
func (s *logSink) run(ctx context.Context) {
	for {
		select {
		case l := <-s.lines:
			s.append(ctx, s.gather(l))
		case <-ctx.Done():
			for len(s.lines) > 0 {
				late, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
				s.append(late, s.gather(<-s.lines))
				cancel()
			}
			return
		}
	}
}

// gather takes what else waits, up to a batch.
func (s *logSink) gather(first function.LogLine) []function.LogLine {
	batch := []function.LogLine{first}
	for len(batch) < logBatch {
		select {
		case l := <-s.lines:
			batch = append(batch, l)
		default:
			return batch
		}
	}
	return batch
}

func (s *logSink) append(ctx context.Context, batch []function.LogLine) {
	if space, ok := s.log.(eventlog.SpaceReporter); ok && space.Space() != eventlog.SpaceOK {
		s.dropped.Add(int64(len(batch)))
		return
	}
	records := make([]eventlog.Record, 0, len(batch))
	for _, l := range batch {
		data, err := json.Marshal(l)
		if err != nil {
			s.dropped.Add(1)
			continue
		}
		records = append(records, eventlog.FromEvent(function.TopicLogs, &event.Event{
			ID: event.NewID(), Source: "/dalamb/logs", Type: event.TypeLogWritten, Time: l.Time, Subject: l.Function,
			DataContentType: "application/json", Data: data,
		}))
	}
	if _, err := s.log.Append(ctx, records); err != nil {
		s.dropped.Add(int64(len(records)))
		s.logger.Warn("function logs not kept", "lines", len(records), "err", err)
	}
}
