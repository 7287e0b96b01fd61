package eventlog

import (
	"context"
	"fmt"
)

// Fold is somebody's fold over a partition, which goes on by itself.
type Fold struct {
	Log       Log
	Partition Partition
	Next      func() int64           // the offset that it wants next
	Changed   func() <-chan struct{} // closed when Next is another one than at the call
}

// Wait blocks until the fold has passed the record at an offset.
func (f Fold) Wait(ctx context.Context, offset int64) error {
	for {
		changed := f.Changed()
		if f.Next() > offset {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for the fold of %s/%d: %w", f.Partition.Topic, f.Partition.ID, ctx.Err())
		}
	}
}

// CatchUp blocks until the fold has passed all records that the partition had at the call. It waits for records alone: at the
// end there may be gaps, which no fold ever passes.
func (f Fold) CatchUp(ctx context.Context) error {
	p := f.Partition
	b, err := f.Log.Bounds(ctx, p)
	if err != nil {
		return fmt.Errorf("read the bounds of %s/%d: %w", p.Topic, p.ID, err)
	}
	for {
		next := f.Next()
		if next >= b.End {
			return nil
		}
		rs, err := f.Log.Read(ctx, p, next, ReadOptions{MaxRecords: 1, NoWait: true})
		if err != nil {
			return fmt.Errorf("read %s/%d: %w", p.Topic, p.ID, err)
		}
		if len(rs) == 0 || rs[0].Offset >= b.End {
			return nil
		}
		if err := f.Wait(ctx, rs[0].Offset); err != nil {
			return err
		}
	}
}
