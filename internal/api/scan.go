package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/dalamb/dalamb/internal/eventlog"
)

// Bounds of what one partition's reader holds in memory.
const (
	scanRecords = 200
	scanBytes   = 256 << 10
)

// errEnough ends a scan that has given all that was asked for.
var errEnough = errors.New("enough")

// scan gives the records of several partitions to a function: those between from and to in the order of their times, then,
// where follow is set, those that come.
type scan struct {
	log     eventlog.Log
	cursors []*cursor
	wanted  eventlog.Wanted // what each has to do with; the log may leave out what is ruled out by it
	follow  bool
	caught  func() error // called once, when what was there has been given; nil = nothing to do
}

// cursor is the place in one partition.
type cursor struct {
	partition eventlog.Partition
	from, to  int64 // to is where the partition ended at the start
	held      []eventlog.Record
}

// run calls each for every record, one at a time, until it returns an error, the end is reached, or ctx is done. An
// errEnough of each is no error.
func (s *scan) run(ctx context.Context, each func(eventlog.Record) error) error {
	err := s.merge(ctx, each)
	if err == nil && s.caught != nil {
		err = s.caught()
	}
	if err == nil && s.follow {
		err = s.tail(ctx, each)
	}
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

func (s *scan) merge(ctx context.Context, each func(eventlog.Record) error) error {
	for {
		var next *cursor
		for _, c := range s.cursors {
			if err := c.fill(ctx, s.log, s.wanted); err != nil {
				return err
			}
			if len(c.held) > 0 && (next == nil || earlier(c.held[0], next.held[0])) {
				next = c
			}
		}
		if next == nil {
			return nil
		}
		r := next.held[0]
		next.held = next.held[1:]
		if err := each(r); err != nil {
			return err
		}
	}
}

func earlier(a, b eventlog.Record) bool {
	return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Partition, b.Partition)) < 0
}

// fill reads on when nothing is held and the end has not been reached.
func (c *cursor) fill(ctx context.Context, log eventlog.Log, wanted eventlog.Wanted) error {
	for len(c.held) == 0 && c.from < c.to {
		at, err := eventlog.SkipAhead(ctx, log, c.partition, c.from, c.to, wanted)
		if err != nil {
			return fmt.Errorf("search %s/%d: %w", c.partition.Topic, c.partition.ID, err)
		}
		if c.from = at; c.from >= c.to {
			return nil
		}
		records, err := log.Read(ctx, c.partition, c.from, eventlog.ReadOptions{MaxRecords: scanRecords, MaxBytes: scanBytes, NoWait: true})
		if err != nil {
			return fmt.Errorf("read %s/%d: %w", c.partition.Topic, c.partition.ID, err)
		}
		if len(records) == 0 {
			c.from = c.to // what is left is gaps
			return nil
		}
		c.from = records[len(records)-1].Offset + 1
		if n := slices.IndexFunc(records, func(r eventlog.Record) bool { return r.Offset >= c.to }); n >= 0 {
			// Appended since the start: the tail gives it, in the order in which it came.
			records, c.from = records[:n], c.to
		}
		c.held = records
	}
	return nil
}

// tail follows every partition with a reader of its own.
func (s *scan) tail(ctx context.Context, each func(eventlog.Record) error) error {
	g, ctx := errgroup.WithContext(ctx)
	records := make(chan []eventlog.Record)
	for _, c := range s.cursors {
		g.Go(func() error {
			for from := c.to; ; {
				rs, err := s.log.Read(ctx, c.partition, from, eventlog.ReadOptions{MaxRecords: scanRecords, MaxBytes: scanBytes})
				if err != nil {
					return fmt.Errorf("follow %s/%d: %w", c.partition.Topic, c.partition.ID, err)
				}
				from = rs[len(rs)-1].Offset + 1
				select {
				case records <- rs:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		})
	}
	g.Go(func() error {
		for {
			select {
			case rs := <-records:
				for _, r := range rs {
					if err := each(r); err != nil {
						return err
					}
				}
				if s.caught != nil {
					if err := s.caught(); err != nil {
						return err
					}
				}
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
	return g.Wait()
}
