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
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

const (
	logQueue = 4096 // facts that may wait for the log
	logBatch = 512  // facts of one append
)

// logSink takes the functions' lines, and what became of their instances, to _dalamb.logs. Nobody waits for it: what finds the queue full is
// dropped and counted, as it is while the disk is nearly full.
type logSink struct {
	log     eventlog.Log
	logger  *slog.Logger
	facts   chan instanceFact
	dropped atomic.Int64
}

// instanceFact is what one event of _dalamb.logs says.
type instanceFact struct {
	typ      string
	function string
	at       time.Time
	data     any
}

func newLogSink(log eventlog.Log, logger *slog.Logger, metrics prometheus.Registerer) *logSink {
	s := &logSink{log: log, logger: logger, facts: make(chan instanceFact, logQueue)}
	metrics.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "dalamb_log_lines_dropped_total", Help: "Lines of functions that did not reach the log.",
	}, func() float64 { return float64(s.dropped.Load()) }))
	return s
}

func (s *logSink) write(l function.LogLine) {
	s.add(instanceFact{event.TypeLogWritten, l.Function, l.Time, l})
}

func (s *logSink) replaced(r fleet.Replacement) {
	s.add(instanceFact{event.TypeInstanceReplaced, r.Function, r.At, function.Replacement{
		Instance: r.Instance, Function: r.Function, Version: r.Version, Cause: string(r.Cause), Reason: r.Reason, Times: r.Times,
	}})
}

// add never blocks.
func (s *logSink) add(f instanceFact) {
	select {
	case s.facts <- f:
	default:
		s.dropped.Add(1)
	}
}

// run appends until ctx is done, then what still waits, and returns.
func (s *logSink) run(ctx context.Context) {
	for {
		select {
		case f := <-s.facts:
			s.append(ctx, s.gather(f))
		case <-ctx.Done():
			for len(s.facts) > 0 {
				late, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
				s.append(late, s.gather(<-s.facts))
				cancel()
			}
			return
		}
	}
}

// gather takes what else waits, up to a batch.
func (s *logSink) gather(first instanceFact) []instanceFact {
	batch := []instanceFact{first}
	for len(batch) < logBatch {
		select {
		case f := <-s.facts:
			batch = append(batch, f)
		default:
			return batch
		}
	}
	return batch
}

func (s *logSink) append(ctx context.Context, batch []instanceFact) {
	if space, ok := s.log.(eventlog.SpaceReporter); ok && space.Space() != eventlog.SpaceOK {
		s.dropped.Add(int64(len(batch)))
		return
	}
	records := make([]eventlog.Record, 0, len(batch))
	for _, f := range batch {
		data, err := json.Marshal(f.data)
		if err != nil {
			s.dropped.Add(1)
			continue
		}
		records = append(records, eventlog.FromEvent(function.TopicLogs, &event.Event{
			ID: event.NewID(), Source: "/dalamb/logs", Type: f.typ, Time: f.at, Subject: f.function,
			DataContentType: "application/json", Data: data,
		}))
	}
	if _, err := s.log.Append(ctx, records); err != nil {
		s.dropped.Add(int64(len(records)))
		s.logger.Warn("function logs not kept", "lines", len(records), "err", err)
	}
}
