package api

import (
	"context"
	"fmt"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

// backward looks through partitions from their newest records on, a stretch of each in turn, until it has found enough, or looked at as
// many as it may.
type backward struct {
	log  eventlog.Log
	now  func() time.Time
	want func(*event.Event) bool
	most int

	hits   []eventlog.Record
	looked int
	since  time.Time // of the oldest record of the stretches that were read
	whole  bool      // all that there is was looked at
	topics map[string]bool
}

// leftOf is what is left of one partition.
type leftOf struct {
	partition eventlog.Partition
	start     int64
	end       int64
}

func (s *backward) run(ctx context.Context, ps []eventlog.Partition) error {
	s.topics = map[string]bool{}
	var left []leftOf
	for _, p := range ps {
		b, err := s.log.Bounds(ctx, p)
		if err != nil {
			return fmt.Errorf("read the bounds of %s/%d: %w", p.Topic, p.ID, err)
		}
		s.topics[p.Topic] = true
		left = append(left, leftOf{p, b.Start, b.End})
	}
	until := s.now().Add(scanTime)
	for {
		if err := ctx.Err(); err != nil {
			return err // records that are there are read whether anybody waits or not
		}
		more := false
		for i := range left {
			l := &left[i]
			if l.end <= l.start {
				continue
			}
			more = true
			if s.looked >= scanRead || s.now().After(until) {
				return nil
			}
			from := max(l.start, l.end-scanStep)
			if err := s.read(ctx, l.partition, from, l.end); err != nil || len(s.hits) >= s.most {
				return err
			}
			l.end = from
		}
		if !more {
			s.whole = true
			return nil
		}
	}
}

// read looks at the records of one stretch, the oldest first.
func (s *backward) read(ctx context.Context, p eventlog.Partition, from, to int64) error {
	for first := true; from < to; first = false {
		rs, err := s.log.Read(ctx, p, from, eventlog.ReadOptions{MaxRecords: scanRecords, NoWait: true})
		if err != nil {
			return fmt.Errorf("read %s/%d: %w", p.Topic, p.ID, err)
		}
		if len(rs) == 0 {
			return nil
		}
		if first && (s.since.IsZero() || rs[0].Time.Before(s.since)) {
			s.since = rs[0].Time
		}
		for i := range rs {
			if rs[i].Offset >= to {
				return nil
			}
			s.looked++
			if e := eventlog.EventOf(&rs[i]); e != nil && s.want(e) {
				if s.hits = append(s.hits, rs[i]); len(s.hits) >= s.most {
					return nil
				}
			}
		}
		from = rs[len(rs)-1].Offset + 1
	}
	return nil
}

func (s *backward) how() wire.Found { return wire.Found{By: "scan", Looked: s.looked, Since: s.since} }

// missing says what was not found and where it was looked for; topic is "" when nobody named one.
func (s *backward) missing(what, topic string) error {
	where := fmt.Sprintf("%d topics", len(s.topics))
	if len(s.topics) == 1 {
		for name := range s.topics {
			where = "topic " + name
		}
	}
	looked := fmt.Sprintf("all %d events of %s", s.looked, where)
	hint := "a topic's retention may have taken it (dalamb topic show TOPIC), or it was never stored; what was stored once and is gone has left its runs, for a week: dalamb runs"
	if !s.whole {
		looked = fmt.Sprintf("the newest %d events of %s, back to %s", s.looked, where, s.since.UTC().Format(time.RFC3339))
		hint = "say where it is: --topic TOPIC, or TOPIC/PARTITION@OFFSET as dalamb events shows it"
		if topic != "" {
			hint = "say where it is: TOPIC/PARTITION@OFFSET, as dalamb events --from TIME shows it"
		}
	}
	return fault.New(fault.NotFound, "%s: neither the index of runs nor %s", what, looked).WithHint("%s", hint)
}
