package ship

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

const (
	mostLines  = 500 // of one Send
	mostBytes  = 1 << 20
	patience   = 30 * time.Second // for one Send
	firstPause = 200 * time.Millisecond
	mostPause  = 30 * time.Second
	saying     = 5 * time.Second  // how long the last position may take to be stored at a stop
	lookEvery  = 2 * time.Second  // at how far a sink is behind that fails
	askEvery   = 30 * time.Second // for a position that cannot be understood
)

// carrier takes one partition to one sink. One goroutine owns it.
type carrier struct {
	ship   *Ship
	target *target
	at     eventlog.Partition
	keys   keys
	commit func(ctx context.Context, records []eventlog.Record) ([]eventlog.Position, error) // of who owns the partition
	next   int64
}

// run ships until ctx is done or the log fails; then the owner calls it again. known is how far the sinks are that the log knows.
func (c *carrier) run(ctx context.Context, known map[string]position) error {
	if err := c.begin(ctx, known); err != nil {
		return err
	}
	for {
		rs, err := c.read(ctx)
		if err != nil {
			return err
		}
		if err := c.deliver(ctx, c.wanted(rs)); err != nil {
			return err
		}
		if err := c.mark(ctx, rs[len(rs)-1].Offset+1); err != nil {
			return err
		}
	}
}

// begin goes on where the sink was. One that the log does not know yet begins at the end, which is stored at once: what comes while it has not taken anything
// is not missed after a restart.
func (c *carrier) begin(ctx context.Context, known map[string]position) error {
	known, err := c.understood(ctx, known)
	if err != nil {
		return err
	}
	b, err := c.bounds(ctx)
	if err != nil {
		return err
	}
	if at, ok := known[c.target.Name]; ok {
		c.next = at.next
		c.target.lag(c.at.ID, b.End-at.next)
		return nil
	}
	stored, err := c.ship.log.Offsets(ctx, formerGroup(c.target.Name))
	if err != nil {
		return fmt.Errorf("read the former position of sink %s: %w", c.target.Name, err)
	}
	for _, o := range stored {
		if o.Partition == c.at {
			return c.mark(ctx, o.Offset)
		}
	}
	return c.mark(ctx, b.End)
}

// understood waits until the sink's position can be understood, which holds up no other sink: it may be mended while the node runs, by a tombstone too.
func (c *carrier) understood(ctx context.Context, known map[string]position) (map[string]position, error) {
	for {
		bad := known[c.target.Name].bad
		if bad == nil {
			return known, nil
		}
		if c.target.fails(c.at.ID, bad) {
			c.ship.logger.Warn("log lines are not shipped; they stay in the log", "sink", c.target.Name, "partition", c.at.ID, "err", bad, "hint", fault.HintOf(bad))
		}
		if !pause(ctx, c.ship.ask) {
			return nil, ctx.Err()
		}
		var err error
		if known, err = recall(ctx, c.ship.log, c.keys); err != nil {
			return nil, err
		}
	}
}

// formerGroup is the consumer group whose position was that of a sink before it stood in _dalamb.progress: an installation from then goes on there once.
func formerGroup(sink string) string { return "dalamb._ship." + sink }

func (c *carrier) bounds(ctx context.Context) (eventlog.Bounds, error) {
	b, err := c.ship.log.Bounds(ctx, c.at)
	if err != nil {
		return b, fmt.Errorf("read the bounds of %s/%d: %w", c.at.Topic, c.at.ID, err)
	}
	return b, nil
}

// read waits for records, and a moment for more of them: a sink takes many at once for little more than one.
func (c *carrier) read(ctx context.Context) ([]eventlog.Record, error) {
	o := eventlog.ReadOptions{MaxRecords: mostLines, MaxBytes: mostBytes}
	rs, err := c.ship.log.Read(ctx, c.at, c.next, o)
	if err == nil && len(rs) < mostLines/2 {
		if !pause(ctx, c.ship.linger) {
			return nil, ctx.Err()
		}
		o.NoWait = true
		rs, err = c.ship.log.Read(ctx, c.at, c.next, o)
		if err == nil && len(rs) == 0 {
			return nil, fmt.Errorf("read %s/%d from offset %d: what was there is gone", c.at.Topic, c.at.ID, c.next)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read %s/%d: %w", c.at.Topic, c.at.ID, err)
	}
	b, err := c.bounds(ctx)
	if err != nil {
		return nil, err
	}
	if lost := min(b.Start, rs[0].Offset) - c.next; lost > 0 {
		c.ship.metrics.lines.WithLabelValues(c.target.Name, "expired").Add(float64(lost))
		c.ship.logger.Warn("log lines went before a sink had them", "sink", c.target.Name, "partition", c.at.ID, "offset", c.next, "lines", lost)
	}
	c.target.lag(c.at.ID, b.End-c.next)
	return rs, nil
}

// wanted are the lines of some records that the sink is to get.
func (c *carrier) wanted(rs []eventlog.Record) []Line {
	var lines []Line
	for i := range rs {
		e, err := eventlog.ToEvent(rs[i])
		if err != nil || e.Type != event.TypeLogWritten {
			continue
		}
		l := Line{ID: e.ID}
		if json.Unmarshal(e.Data, &l.LogLine) != nil || c.target.Wants != nil && !c.target.Wants(l.Function) {
			continue
		}
		if l.Said = l.Read(); l.Said.Level.AtLeast(c.target.Level) {
			lines = append(lines, l)
		}
	}
	return lines
}

// deliver sends until the sink has taken the lines, or ctx is done. No sink makes it return an error.
func (c *carrier) deliver(ctx context.Context, lines []Line) error {
	if len(lines) == 0 {
		return nil
	}
	wait := firstPause
	following := func() {}
	defer func() { following() }()
	for {
		sending, cancel := context.WithTimeout(ctx, patience)
		err := c.target.send(sending, lines)
		cancel()
		var part partly
		switch {
		case err == nil:
			c.taken(len(lines))
			return nil
		case errors.As(err, &part):
			n := min(part.refused, len(lines))
			c.taken(len(lines) - n)
			c.leftOut(lines[0], n, err)
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errClosed):
			return err
		case !refused(err):
		case len(lines) > 1: // one of them may be what is wrong
			following() // each half has its own
			half := len(lines) / 2
			if err := c.deliver(ctx, lines[:half]); err != nil {
				return err
			}
			return c.deliver(ctx, lines[half:])
		default:
			c.taken(0)
			c.leftOut(lines[0], 1, err)
			return nil
		}
		if c.target.fails(c.at.ID, err) {
			c.ship.logger.Warn("log lines are not shipped; they stay in the log and are tried again", "sink", c.target.Name, "err", err)
		}
		following()
		following = c.follow(ctx)
		var busy busy
		errors.As(err, &busy)
		if !pause(ctx, max(busy.again, wait/2+rand.N(wait/2))) {
			return ctx.Err()
		}
		wait = min(2*wait, mostPause)
	}
}

// follow keeps what is known of a sink that fails: how far it is behind, also while a try hangs. It does so until stop is called.
func (c *carrier) follow(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() {
		for {
			if b, err := c.bounds(ctx); err == nil {
				c.target.lag(c.at.ID, b.End-c.next)
			}
			if !pause(ctx, c.ship.look) {
				return
			}
		}
	})
	return func() {
		cancel()
		done.Wait()
	}
}

// taken notes that the sink answers, and has taken n lines.
func (c *carrier) taken(n int) {
	c.ship.metrics.lines.WithLabelValues(c.target.Name, "sent").Add(float64(n))
	if c.target.does(c.at.ID) {
		c.ship.logger.Info("log lines are shipped again", "sink", c.target.Name)
	}
}

// leftOut counts lines that the sink refuses, and tells of them once in a while: a function may write nothing else. first is of the batch in which they are.
func (c *carrier) leftOut(first Line, n int, err error) {
	c.ship.metrics.lines.WithLabelValues(c.target.Name, "refused").Add(float64(n))
	if all, tell := c.target.refuses(n, time.Now()); tell {
		c.ship.logger.Warn("a sink refuses log lines, which are left out", "sink", c.target.Name, "lines", all, "function", first.Function, "event", first.ID, "err", err)
	}
}

// partly is a sink's word that it has taken the lines but for some, which must not be sent again.
type partly struct {
	refused int
	why     string
}

func (p partly) Error() string { return fmt.Sprintf("%d lines were rejected: %s", p.refused, p.why) }

// refused says whether a sink will never take what it was sent.
func refused(err error) bool {
	kind := fault.KindOf(err)
	return kind == fault.Invalid || kind == fault.TooLarge
}

// busy is a sink's word that it wants to be left alone for a while.
type busy struct {
	again time.Duration
	err   error
}

func (b busy) Error() string { return b.err.Error() }
func (b busy) Unwrap() error { return b.err }

// mark stores how far the sink is, also while the node stops: lines that it has taken need not be sent again.
func (c *carrier) mark(ctx context.Context, next int64) error {
	storing, cancel := context.WithTimeout(context.WithoutCancel(ctx), saying)
	defer cancel()
	record, err := c.keys.record(c.target.Name, next)
	if err != nil {
		return err
	}
	if _, err := c.commit(storing, []eventlog.Record{record}); err != nil {
		return fmt.Errorf("store the position of sink %s: %w", c.target.Name, err)
	}
	c.next = next
	if b, err := c.bounds(storing); err == nil {
		c.target.lag(c.at.ID, b.End-next)
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
