package eventlog

import "context"

// Owned is a partition that this node owns, for as long as Commit does not say ErrFenced.
type Owned struct {
	Partition
	// Commit stores records atomically if the partition is still this node's. Errors as Member.Commit.
	Commit func(ctx context.Context, records []Record) ([]Position, error)
}
