package catalog

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/enginetest"
	"github.com/dalamb/dalamb/internal/fault"
)

// absent is a log that is away at times; what blocks in a read hears of it.
type absent struct {
	eventlog.Log
	away atomic.Bool
	gone atomic.Pointer[chan struct{}] // closed when it goes away
}

func (l *absent) leave() {
	l.away.Store(true)
	close(*l.gone.Load())
}

func (l *absent) come() {
	gone := make(chan struct{})
	l.gone.Store(&gone)
	l.away.Store(false)
}

func (l *absent) err() error {
	if l.away.Load() {
		return fault.New(fault.Unavailable, "nobody answers")
	}
	return nil
}

func (l *absent) Bounds(ctx context.Context, p eventlog.Partition) (eventlog.Bounds, error) {
	if err := l.err(); err != nil {
		return eventlog.Bounds{}, err
	}
	return l.Log.Bounds(ctx, p)
}

func (l *absent) Read(ctx context.Context, p eventlog.Partition, from int64, o eventlog.ReadOptions) ([]eventlog.Record, error) {
	if err := l.err(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	gone := *l.gone.Load()
	go func() {
		select {
		case <-gone:
			cancel()
		case <-ctx.Done():
		}
	}()
	rs, err := l.Log.Read(ctx, p, from, o)
	if away := l.err(); away != nil {
		return nil, away
	}
	return rs, err
}

func TestTheFoldOutlivesALogThatIsAwayForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &absent{Log: openLog(t, enginetest.Options{OneNode: true})} // time passes here as no broker's does
		log.away.Store(true)
		c, err := New(Options{Log: log})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.Run(ctx) }()
		time.Sleep(10 * retryWait)
		log.come()
		submit(t, c, Deploy{Version: version("pay", on("a", "events", "x"))})

		log.leave()
		time.Sleep(10 * retryWait)
		log.come()
		submit(t, c, Deploy{Version: version("mail", on("a", "events", "x"))})
		if n := len(c.View().Functions()); n != 2 {
			t.Errorf("%d functions, want 2", n)
		}
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
	})
}
