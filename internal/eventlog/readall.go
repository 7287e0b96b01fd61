package eventlog

import (
	"context"
	"fmt"
)

// ReadAll gives each record that a partition has at the call, the oldest first, and returns the offset to read on from. It stops at the
// first error of each and returns it as it is.
func ReadAll(ctx context.Context, log Log, p Partition, each func(*Record) error) (next int64, err error) {
	b, err := log.Bounds(ctx, p)
	if err != nil {
		return 0, fmt.Errorf("read the bounds of %s/%d: %w", p.Topic, p.ID, err)
	}
	for next = b.Start; next < b.End; {
		rs, err := log.Read(ctx, p, next, ReadOptions{NoWait: true})
		if err != nil {
			return next, fmt.Errorf("read %s/%d: %w", p.Topic, p.ID, err)
		}
		if len(rs) == 0 {
			break // nothing but gaps is left
		}
		for i := range rs {
			if err := each(&rs[i]); err != nil {
				return next, err
			}
		}
		next = rs[len(rs)-1].Offset + 1
	}
	return next, nil
}
