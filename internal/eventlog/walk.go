package eventlog

import (
	"context"
	"fmt"
	"time"
)

// ClockSkew is by how much the clocks of nodes and brokers may differ.
const ClockSkew = time.Minute

// Step is what comes after a record of a Walk.
type Step int

const (
	Further Step = iota // the next record
	Enough              // no more of this partition
	Found               // no more at all
)

// Walker is the part of a Log that a Walk needs.
type Walker interface {
	Topics(ctx context.Context) ([]Topic, error)
	OffsetAt(ctx context.Context, p Partition, t time.Time) (int64, error)
	Read(ctx context.Context, p Partition, from int64, o ReadOptions) ([]Record, error)
}

// Walk looks at what was appended to some topics in a stretch of time, or ClockSkew around it, one partition after another. It goes as far as it comes;
// another one with its Next goes on from there.
type Walk struct {
	Log    Walker
	Topics []string
	Since  time.Time
	Until  time.Time // zero = as far as the log goes
	Rest   time.Time // when it is over for now; zero = with its context
	// Next are the offsets to go on from, all before them were looked at; an empty map where it begins. A batch in which a partition was left stays ahead.
	Next map[Partition]int64
	Each func(*Record) Step
}

// Go walks. Whole says that nothing is left but what was stepped over. All partitions are walked that there are at the call.
func (w *Walk) Go(ctx context.Context) (whole bool, err error) {
	topics, err := w.Log.Topics(ctx)
	if err != nil {
		return false, fmt.Errorf("list topics: %w", err)
	}
	wanted := make(map[string]bool, len(w.Topics))
	for _, name := range w.Topics {
		wanted[name] = true
	}
	whole = true
	for _, t := range topics {
		if !wanted[t.Name] {
			continue
		}
		for id := range t.Partitions {
			through, step, err := w.partition(ctx, Partition{Topic: t.Name, ID: id}, t.ID)
			if err != nil || step == Found {
				return step == Found, err
			}
			whole = whole && through
		}
	}
	return whole, nil
}

// partition walks one. Through says that it came to the end of the stretch, or was told to leave.
func (w *Walk) partition(ctx context.Context, p Partition, topicID string) (through bool, step Step, err error) {
	next, end, err := w.stretch(ctx, p)
	if err != nil {
		return false, Further, err
	}
	defer func() { w.Next[p] = next }()
	for end < 0 || next < end {
		if !w.Rest.IsZero() && time.Now().After(w.Rest) {
			return false, Further, nil
		}
		rs, err := w.Log.Read(ctx, p, next, ReadOptions{NoWait: true, TopicID: topicID})
		if err != nil {
			return false, Further, fmt.Errorf("read %s/%d: %w", p.Topic, p.ID, err)
		}
		if len(rs) == 0 {
			break
		}
		for i := range rs {
			if end >= 0 && rs[i].Offset >= end {
				next = end // another walk may go further
				return true, Further, nil
			}
			if step := w.Each(&rs[i]); step != Further {
				return true, step, nil
			}
		}
		next = rs[len(rs)-1].Offset + 1
	}
	return true, Further, nil
}

// stretch is where a partition is walked; end is negative where nothing bounds it.
func (w *Walk) stretch(ctx context.Context, p Partition) (next, end int64, err error) {
	at := func(t time.Time) (int64, error) {
		offset, err := w.Log.OffsetAt(ctx, p, t)
		if err != nil {
			return 0, fmt.Errorf("find %s in %s/%d: %w", t.UTC().Format(time.RFC3339), p.Topic, p.ID, err)
		}
		return offset, nil
	}
	next, known := w.Next[p]
	if !known {
		if next, err = at(w.Since.Add(-ClockSkew)); err != nil {
			return 0, 0, err
		}
	}
	if w.Until.IsZero() {
		return next, -1, nil
	}
	end, err = at(w.Until.Add(ClockSkew))
	return next, end, err
}
