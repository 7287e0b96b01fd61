package dispatch

import (
	"context"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
)

// gapsAfter is how long the shared scan waits for the next event before it looks whether the log's end is further on than it is.
const gapsAfter = 250 * time.Millisecond

// next reads what the shared scan gets next. On an engine with transactions there may be nothing but their ends below the end of
// the log. The scan passes those when nothing comes: a replay that ends there, and a person who looks at the lag, need not wait for
// another event. end is then how far there is nothing.
func (p *partition) next(ctx context.Context, from int64, o eventlog.ReadOptions) (records []eventlog.Record, end int64, err error) {
	soon, cancel := context.WithTimeout(ctx, gapsAfter)
	records, err = p.d.log.Read(soon, p.id, from, o)
	late := soon.Err() != nil
	cancel()
	if err == nil || !late || ctx.Err() != nil {
		return records, 0, err
	}
	b, err := p.d.log.Bounds(ctx, p.id)
	if err != nil {
		return nil, 0, err
	}
	if b.End > from {
		o.NoWait = true
		records, err = p.d.log.Read(ctx, p.id, from, o)
		return records, b.End, err
	}
	records, err = p.d.log.Read(ctx, p.id, from, o)
	return records, 0, err
}
