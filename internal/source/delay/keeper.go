package delay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

const (
	longestNap = 10 * time.Second // so that a clock that was set is noticed
	mostEvents = 256              // in one transaction
	mostBytes  = 4 << 20
	// later is when an event is looked at again whose topic does not take it.
	later = time.Minute
)

// Keep releases the events of one partition until ctx is done.
func (d *Delay) Keep(ctx context.Context, own eventlog.Owned) error {
	k := &keeper{Delay: d, own: own, calendar: newCalendar()}
	from, err := k.recall(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var reader sync.WaitGroup
	defer reader.Wait()
	defer cancel()
	news := make(chan []note)
	failed := make(chan error, 1)
	reader.Go(func() { failed <- k.follow(ctx, from, news) })
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		nap, err := k.round(ctx)
		if err != nil {
			return err
		}
		timer.Reset(nap)
		select {
		case <-timer.C:
		case ns := <-news:
			for _, n := range ns {
				k.note(n, k.calendar.add)
			}
		case err := <-failed:
			return err
		case <-ctx.Done():
			return nil
		}
	}
}

// keeper is one partition's part in the delayed events. One goroutine owns it, but for follow.
type keeper struct {
	*Delay
	own      eventlog.Owned
	calendar *calendar
	cancels  []nameOf // asked for and not answered
}

// note is what a record says.
type note struct {
	name   nameOf
	offset int64
	kind   kind
}

type kind uint8

const (
	comes kind = iota
	goes
	cancel
)

func noteOf(r *eventlog.Record) (note, bool) {
	name, ok := nameIn(r.Key)
	n := note{name: name, offset: r.Offset}
	switch {
	case !ok:
		return n, false
	case r.Value == nil:
		n.kind = goes
	case len(r.Value) == 1 && r.Value[0] == formatCancel:
		n.kind = cancel
	}
	return n, true
}

// note takes a record in; put adds an event to the calendar.
func (k *keeper) note(n note, put func(mark)) {
	id := ident{n.name.due, n.name.random}
	switch n.kind {
	case comes:
		put(mark{wake: n.name.due, offset: n.offset, due: n.name.due, random: n.name.random})
	case goes:
		k.calendar.drop(id)
		// What it was asked before that is answered.
		k.cancels = slices.DeleteFunc(k.cancels, func(c nameOf) bool { return c == n.name })
	case cancel:
		k.cancels = append(k.cancels, n.name)
	}
}

// recall reads what waits, and returns where to read on.
func (k *keeper) recall(ctx context.Context) (int64, error) {
	from, err := eventlog.ReadAll(ctx, k.log, k.own.Partition, func(r *eventlog.Record) error {
		if n, ok := noteOf(r); ok {
			k.note(n, k.calendar.load)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	k.calendar.sort()
	return from, nil
}

// follow reads what comes.
func (k *keeper) follow(ctx context.Context, from int64, news chan<- []note) error {
	for {
		rs, err := k.log.Read(ctx, k.own.Partition, from, eventlog.ReadOptions{})
		if err != nil {
			return fmt.Errorf("read %s/%d: %w", k.own.Topic, k.own.ID, err)
		}
		var ns []note
		for i := range rs {
			if n, ok := noteOf(&rs[i]); ok {
				ns = append(ns, n)
			}
		}
		from = rs[len(rs)-1].Offset + 1
		select {
		case news <- ns:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// round answers requests to cancel and releases what is due. It returns how long there is nothing to do.
func (k *keeper) round(ctx context.Context) (time.Duration, error) {
	if err := k.answer(ctx); err != nil {
		return 0, err
	}
	now := k.now().UnixMilli()
	if due := k.calendar.take(now, mostEvents); len(due) > 0 {
		return 0, k.release(ctx, due, now)
	}
	wake, ok := k.calendar.next()
	if !ok {
		return longestNap, nil
	}
	return min(longestNap, time.Duration(wake-now)*time.Millisecond), nil
}

func (k *keeper) answer(ctx context.Context) error {
	if len(k.cancels) == 0 {
		return nil
	}
	var records []eventlog.Record
	for _, name := range k.cancels {
		r := name.tombstone()
		if k.calendar.has(ident{name.due, name.random}) {
			r.Headers = []eventlog.Header{{Name: headerCancelled}}
			k.calendar.drop(ident{name.due, name.random})
		}
		records = append(records, r)
	}
	k.cancels = nil
	if _, err := k.own.Commit(ctx, records); err != nil {
		return fmt.Errorf("cancel delayed events: %w", err)
	}
	return nil
}

// release puts events into their topics and takes them out of _dalamb.delayed. One that its topic does not take is put off, and
// holds up no other.
func (k *keeper) release(ctx context.Context, due []mark, now int64) error {
	found, err := k.read(ctx, due)
	if err != nil {
		return err
	}
	for len(due) > 0 {
		size, n := 0, 0
		for n < len(due) && (n == 0 || size < mostBytes) {
			size += found[due[n].offset].size
			n++
		}
		if err := k.commit(ctx, due[:n], found, now); err != nil {
			return err
		}
		due = due[n:]
	}
	return nil
}

// commit stores the release of some events: all together, or where one of them is refused in halves.
func (k *keeper) commit(ctx context.Context, due []mark, found map[int64]release, now int64) error {
	var records []eventlog.Record
	for _, m := range due {
		records = append(records, found[m.offset].records...)
	}
	var err error
	if len(records) > 0 {
		_, err = k.own.Commit(ctx, records)
	}
	switch kind := fault.KindOf(err); {
	case err == nil:
		for _, m := range due {
			k.calendar.drop(ident{m.due, m.random})
		}
		return nil
	case errors.Is(err, eventlog.ErrFenced) || kind != fault.NotFound && kind != fault.Invalid && kind != fault.TooLarge && kind != fault.Denied:
		return fmt.Errorf("release delayed events: %w", err)
	case len(due) > 1:
		half := len(due) / 2
		if err := k.commit(ctx, due[:half], found, now); err != nil {
			return err
		}
		return k.commit(ctx, due[half:], found, now)
	}
	m := due[0]
	name := nameOf{k.own.ID, m.due, m.random}
	k.logger.Warn("a delayed event is due and cannot be released; it is tried again", "delayed", name.String(), "err", err)
	m.wake = now + later.Milliseconds()
	k.calendar.again(m)
	return nil
}

// release is what the release of an event stores; nothing for one that is no more.
type release struct {
	records []eventlog.Record
	size    int
}

// read reads the events that stand at some offsets.
func (k *keeper) read(ctx context.Context, due []mark) (map[int64]release, error) {
	wanted := map[int64]bool{}
	offsets := make([]int64, len(due))
	for i, m := range due {
		offsets[i], wanted[m.offset] = m.offset, true
	}
	slices.Sort(offsets)
	found := make(map[int64]release, len(due))
	for i := 0; i < len(offsets); {
		rs, err := k.log.Read(ctx, k.own.Partition, offsets[i], eventlog.ReadOptions{MaxRecords: near(offsets[i:]), NoWait: true})
		if err != nil {
			return nil, fmt.Errorf("read %s/%d: %w", k.own.Topic, k.own.ID, err)
		}
		past := offsets[i] + 1
		for j := range rs {
			past = max(past, rs[j].Offset+1)
			if !wanted[rs[j].Offset] {
				continue
			}
			if found[rs[j].Offset], err = k.releaseOf(&rs[j]); err != nil {
				return nil, err
			}
		}
		for i < len(offsets) && offsets[i] < past {
			i++
		}
	}
	return found, nil
}

// near is how many records to read from the first of some offsets to have those that stand close to it.
func near(offsets []int64) int {
	n := int64(1)
	for i := 1; i < len(offsets) && offsets[i]-offsets[i-1] <= 8; i++ {
		n = offsets[i] - offsets[0] + 1
	}
	return int(n)
}

func (k *keeper) releaseOf(r *eventlog.Record) (release, error) {
	name, _ := nameIn(r.Key)
	if r.Lost() { // there is nothing to release
		gone := name.tombstone()
		gone.Headers = []eventlog.Header{{Name: headerForgotten}}
		return release{records: []eventlog.Record{gone}}, nil
	}
	h, err := decodeHeld(r.Value)
	if err != nil {
		return release{}, fault.New(fault.Internal, "delayed event %s: %w", name, err).
			WithHint("it was written by a newer dalamb, or it is damaged; the events of %s/%d wait until it can be read", k.own.Topic, k.own.ID)
	}
	out := eventlog.FromEvent(h.Topic, h.Event)
	if by := event.SealIn(r.Headers); by != "" {
		out.Seal = &eventlog.Seal{By: by} // the key that it waited under: where that is forgotten meanwhile, another one would bring it back
	}
	return release{records: []eventlog.Record{out, name.tombstone()}, size: len(r.Value)}, nil
}
