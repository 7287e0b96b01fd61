package eventlog_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/dalamb/dalamb/internal/eventlog"
)

// gappy is a partition with records at some offsets and nothing between them and its end.
type gappy struct {
	eventlog.Log
	offsets []int64
	end     int64
}

func (g *gappy) Bounds(context.Context, eventlog.Partition) (eventlog.Bounds, error) {
	return eventlog.Bounds{End: g.end}, nil
}

func (g *gappy) Read(_ context.Context, _ eventlog.Partition, from int64, o eventlog.ReadOptions) ([]eventlog.Record, error) {
	if !o.NoWait {
		return nil, errors.New("read would block")
	}
	for _, offset := range g.offsets {
		if offset >= from {
			return []eventlog.Record{{Offset: offset}}, nil
		}
	}
	return nil, nil
}

func TestFoldsCatchUpPastGaps(t *testing.T) {
	for _, c := range []struct {
		name    string
		offsets []int64
		end     int64
		at      int64 // where the fold is
		want    []int64
	}{
		{"empty", nil, 0, 0, nil},
		{"there already", []int64{0, 1}, 2, 2, nil},
		{"no gaps", []int64{0, 1, 2}, 3, 1, []int64{1, 2}},
		{"gaps between", []int64{1, 5}, 6, 0, []int64{1, 5}},
		{"gaps at the end", []int64{1, 5}, 9, 2, []int64{5}},
		{"nothing but gaps", nil, 9, 0, nil},
		{"what comes after the call", []int64{3, 9}, 9, 0, []int64{3}},
	} {
		var waited []int64
		moved := make(chan struct{})
		close(moved)
		f := eventlog.Fold{
			Log:  &gappy{offsets: c.offsets, end: c.end},
			Next: func() int64 { return c.at },
			Changed: func() <-chan struct{} { // a fold that passes one record each time when somebody waits
				i, _ := slices.BinarySearch(c.offsets, c.at)
				waited = append(waited, c.offsets[i])
				c.at = c.offsets[i] + 1
				return moved
			},
		}
		if err := f.CatchUp(t.Context()); err != nil || len(waited) != len(c.want) {
			t.Errorf("%s: CatchUp() = %v after waiting for %v, want it to wait for %v", c.name, err, waited, c.want)
			continue
		}
		for i := range waited {
			if waited[i] != c.want[i] {
				t.Errorf("%s: waited for %v, want %v", c.name, waited, c.want)
				break
			}
		}
	}
}
