package eventlog

import "context"

// Lender is an optional ability of a Log, found by assertion.
type Lender interface {
	// Lend is Read with NoWait for who keeps nothing of the records: each is given one after another, and n is how many. What it is given, with all
	// that this holds, is the log's own again when it returns, and it must not ask the log anything meanwhile. Where there is an error it may have been
	// given some.
	Lend(ctx context.Context, p Partition, from int64, o ReadOptions, each func(*Record)) (n int, err error)
}

// Lend lends the records of a log that is a Lender, and reads those of any other.
func Lend(ctx context.Context, l interface {
	Read(ctx context.Context, p Partition, from int64, o ReadOptions) ([]Record, error)
}, p Partition, from int64, o ReadOptions, each func(*Record)) (n int, err error) {
	if lender, can := l.(Lender); can {
		return lender.Lend(ctx, p, from, o, each)
	}
	o.NoWait = true
	records, err := l.Read(ctx, p, from, o)
	if err != nil {
		return 0, err
	}
	for i := range records {
		each(&records[i])
	}
	return len(records), nil
}
