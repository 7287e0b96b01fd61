package health

import (
	"context"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
)

// Log is a log of which is told how long it takes to store: appends, and the commits of members. Of the optional abilities of l it has those
// that are asked for where something is stored, eventlog.SpaceReporter and eventlog.Deduper, and eventlog.Lender.
func (h *Health) Log(l eventlog.Log) eventlog.Log {
	t := &timedLog{Log: l, health: h}
	if d, ok := l.(eventlog.Deduper); ok {
		return &timedDeduper{timedLog: t, deduper: d}
	}
	return t
}

var (
	_ eventlog.SpaceReporter = (*timedLog)(nil)
	_ eventlog.Lender        = (*timedLog)(nil)
)

type timedLog struct {
	eventlog.Log
	health *Health
}

// timed tells of one call that may have stored something. What was refused says nothing of the log, nor does a caller that left.
func (h *Health) timed(ctx context.Context, start time.Time, err error) {
	if err == nil || ctx.Err() == context.DeadlineExceeded {
		h.Stored(h.o.Now().Sub(start))
	}
}

func (l *timedLog) Append(ctx context.Context, records []eventlog.Record) ([]eventlog.Position, error) {
	start := l.health.o.Now()
	at, err := l.Log.Append(ctx, records)
	l.health.timed(ctx, start, err)
	return at, err
}

// Space implements eventlog.SpaceReporter: a log that cannot tell has room.
func (l *timedLog) Space() eventlog.Space {
	if s, ok := l.Log.(eventlog.SpaceReporter); ok {
		return s.Space()
	}
	return eventlog.SpaceOK
}

// Lend implements eventlog.Lender: of a log that does not lend it reads.
func (l *timedLog) Lend(ctx context.Context, p eventlog.Partition, from int64, o eventlog.ReadOptions, each func(*eventlog.Record)) (int, error) {
	return eventlog.Lend(ctx, l.Log, p, from, o, each)
}

func (l *timedLog) Join(ctx context.Context, o eventlog.JoinOptions) (eventlog.Member, error) {
	m, err := l.Log.Join(ctx, o)
	if err != nil {
		return nil, err
	}
	return &timedMember{Member: m, health: l.health}, nil
}

type timedMember struct {
	eventlog.Member
	health *Health
}

func (m *timedMember) Commit(ctx context.Context, t eventlog.Txn) ([]eventlog.Position, error) {
	start := m.health.o.Now()
	at, err := m.Member.Commit(ctx, t)
	m.health.timed(ctx, start, err)
	return at, err
}

type timedDeduper struct {
	*timedLog
	deduper eventlog.Deduper
}

func (l *timedDeduper) AppendOnce(ctx context.Context, records []eventlog.Record, o eventlog.Once) ([]eventlog.Position, []bool, error) {
	start := l.health.o.Now()
	at, repeated, err := l.deduper.AppendOnce(ctx, records, o)
	l.health.timed(ctx, start, err)
	return at, repeated, err
}
