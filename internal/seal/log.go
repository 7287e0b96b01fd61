// Package seal keeps the payloads of sealed topics encrypted in the log, each by a key of the event's key, and forgets them with that key: what stands
// in the log, and in the audit's trees, stays as it is, and nobody can read it any more. It does not decide which topics are sealed, nor who may
// forget (api does), and it leaves what is no payload, such as an event's key, id and type, as it is.
package seal

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/secret"
)

// Box encrypts for the key of the installation; see secret.Box.
type Box interface {
	Seal(ctx context.Context, name string, value []byte) (secret.Sealed, error)
	Open(name string, s secret.Sealed) ([]byte, error)
	// Key is the one that Open opens values for; "" = there is none yet.
	Key() string
}

// Options of Over. All but Logger are required.
type Options struct {
	Log    eventlog.Log
	Box    Box
	Logger *slog.Logger
	Sealed func(topic string) bool // whether what is appended to a topic is sealed. Does not block
}

// Log is a log that seals what is appended to sealed topics, and opens what is read, whatever its topic is by then. Of the optional abilities of the one below it
// has those that all callers can do with; see Over.
type Log struct {
	eventlog.Log
	sealed func(topic string) bool
	keys   *keys
	shared bool
}

// Over is a sealing log over another one, which its Close closes. The log has the optional abilities of that one, eventlog.Eraser aside, which is Log.Forget's.
func Over(o Options) (eventlog.Log, *Log, error) {
	if o.Log == nil || o.Box == nil || o.Sealed == nil {
		return nil, nil, errors.New("seal needs a log, a box and the rules of topics")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	l := &Log{Log: o.Log, sealed: o.Sealed, keys: newKeys(o.Log, o.Box, o.Logger)}
	if s, ok := o.Log.(eventlog.Sharer); ok {
		l.shared = s.Shared()
	}
	dedupe, ok := o.Log.(eventlog.Deduper)
	if !ok {
		return l, l, nil
	}
	file := &fileLog{Log: l, dedupe: dedupe}
	file.Compacter, _ = o.Log.(eventlog.Compacter)
	if file.Checkpointer, ok = o.Log.(eventlog.Checkpointer); !ok || file.Compacter == nil {
		return nil, nil, errors.New("a log that is files of this machine has all abilities of one")
	}
	return file, l, nil
}

// fileLog is Log over one that is files of this machine alone.
type fileLog struct {
	*Log
	eventlog.Checkpointer
	eventlog.Compacter
	dedupe eventlog.Deduper
}

// Space is eventlog.SpaceReporter's: a log that cannot tell has room.
func (l *Log) Space() eventlog.Space {
	if s, ok := l.Log.(eventlog.SpaceReporter); ok {
		return s.Space()
	}
	return eventlog.SpaceOK
}

// Shared is eventlog.Sharer's.
func (l *Log) Shared() bool { return l.shared }

// Advise is eventlog.Adviser's.
func (l *Log) Advise(ctx context.Context) ([]string, error) {
	if a, ok := l.Log.(eventlog.Adviser); ok {
		return a.Advise(ctx)
	}
	return nil, nil
}

// Size is eventlog.Sizer's.
func (l *Log) Size(ctx context.Context, topic string) (int64, error) {
	if s, ok := l.Log.(eventlog.Sizer); ok {
		return s.Size(ctx, topic)
	}
	return 0, fault.New(fault.Unavailable, "this log does not say how large topic %s is", topic)
}

// SkipAhead is eventlog.Skipper's: what a seal hides is not what records are skipped by.
func (l *Log) SkipAhead(ctx context.Context, p eventlog.Partition, from, to int64, w eventlog.Wanted) (int64, error) {
	return eventlog.SkipAhead(ctx, l.Log, p, from, to, w)
}

// SkipBack is eventlog.Skipper's.
func (l *Log) SkipBack(ctx context.Context, p eventlog.Partition, from, to int64, w eventlog.Wanted) (int64, error) {
	return eventlog.SkipBack(ctx, l.Log, p, from, to, w)
}

// Append is eventlog.Log's. A key that is made for a record is stored with it, or not at all.
func (l *Log) Append(ctx context.Context, records []eventlog.Record) ([]eventlog.Position, error) {
	b, err := l.seal(ctx, records)
	if err != nil {
		return nil, err
	}
	return b.stored(l.Log.Append(ctx, b.records))
}

// AppendOnce is eventlog.Deduper's. The keys that are made for it are stored before: they have no identity.
func (l *fileLog) AppendOnce(ctx context.Context, records []eventlog.Record, o eventlog.Once) ([]eventlog.Position, []bool, error) {
	b, err := l.seal(ctx, records)
	if err != nil {
		return nil, nil, err
	}
	if n := b.own(); n > 0 {
		at, err := l.Log.Log.Append(ctx, b.records[:n])
		if err != nil {
			return nil, nil, err
		}
		b.note(at)
		b.records = b.records[n:]
	}
	return l.dedupe.AppendOnce(ctx, b.records, o)
}

// Join is eventlog.Log's.
func (l *Log) Join(ctx context.Context, o eventlog.JoinOptions) (eventlog.Member, error) {
	m, err := l.Log.Join(ctx, o)
	if err != nil {
		return nil, err
	}
	return &member{Member: m, log: l}, nil
}

type member struct {
	eventlog.Member
	log *Log
}

// Commit is eventlog.Member's.
func (m *member) Commit(ctx context.Context, t eventlog.Txn) ([]eventlog.Position, error) {
	b, err := m.log.seal(ctx, t.Records)
	if err != nil {
		return nil, err
	}
	t.Records = b.records
	return b.stored(m.Member.Commit(ctx, t))
}

// Read is eventlog.Log's. A record whose key is forgotten is given without its value (eventlog.Record.Lost); one that this node cannot open because it lacks
// the key of the installation is an error, so that nobody takes it for forgotten.
func (l *Log) Read(ctx context.Context, p eventlog.Partition, from int64, o eventlog.ReadOptions) ([]eventlog.Record, error) {
	rs, err := l.Log.Read(ctx, p, from, o)
	if err != nil {
		return nil, err
	}
	var asked bool // whether the keys are as new as this call
	var own []eventlog.Record
	for i := range rs {
		if !isSealed(&rs[i]) {
			continue
		}
		if own == nil {
			own = slices.Clone(rs) // what was read may be others' too
		}
		if own[i], err = l.open(ctx, rs[i], &asked); err != nil {
			return nil, err
		}
	}
	if own != nil {
		return own, nil
	}
	return rs, nil
}
