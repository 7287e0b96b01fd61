package audit

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// bringWait is how long a node that stops waits for the place outside. What is not there by then is in the log, and the next start brings it.
const bringWait = 5 * time.Second

// answerWait is how long a try may take before people are told that there is no answer.
const answerWait = 5 * time.Second

// bringer is what is known of the place outside. Whoever asks it may never get an answer, so it is asked without any lock.
type bringer struct {
	wake   chan struct{} // holds a token when there may be something to bring
	looked chan struct{} // closed when it is known what was there at the start; nothing is signed before
	tried  chan struct{} // closed after the first try

	batch int   // bytes of checkpoints that are brought at a time
	next  int64 // the offset in the topic of checkpoints of the first one that may not be there; of who brings alone

	mu    sync.Mutex
	known bool      // looked is closed
	last  *Signed   // what the place ends with; nil = nothing
	since time.Time // when the try began that is under way; zero = none is
	err   error     // what came of the last one
}

func newBringer() *bringer {
	return &bringer{batch: maxBatch, wake: make(chan struct{}, 1), looked: make(chan struct{}), tried: make(chan struct{})}
}

// poke has somebody look whether there is something to bring.
func (b *bringer) poke() {
	select {
	case b.wake <- struct{}{}:
	default: // somebody is about to
	}
}

func (b *bringer) isKnown() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.known
}

// missing is how many checkpoints are not at the place, of so many that were signed; why says what holds them up.
func (b *bringer) missing(signed int64, now time.Time) (n int64, why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.known {
		n = signed
		if b.last != nil {
			n = max(0, signed-b.last.seq)
		}
	}
	switch {
	case !b.since.IsZero() && now.Sub(b.since) >= answerWait:
		why = fmt.Sprintf("there is no answer since %s", b.since.UTC().Format(time.RFC3339))
	case b.err != nil:
		why = b.err.Error()
	}
	return n, why
}

// lookAtLast waits, at the end of a node that has hardly begun, until the place was asked what is there.
func (k *Keeper) lookAtLast(ctx context.Context) {
	if err := k.begun(ctx); err != nil || k.State().Trouble != "" {
		return
	}
	k.bringer.poke()
	select {
	case <-k.bringer.tried:
	case <-time.After(k.patience):
		k.patience = 0 // it was waited for
	}
}

// end is how a node that stops waits for what was signed last.
func (k *Keeper) end(last chan<- struct{}, brought <-chan struct{}) {
	close(last)
	var late string
	select {
	case <-brought:
	case <-time.After(k.patience):
		late = "there was no answer in time"
	}
	k.mu.Lock()
	ready, signed := k.ready, k.state.seq
	k.mu.Unlock()
	n, why := k.bringer.missing(signed, k.Now())
	why = cmp.Or(late, why)
	switch {
	case ready && !k.bringer.isKnown():
		k.Logger.Warn("what was logged since the start is in no checkpoint: none is signed before it is known what is outside", "place", k.Outside.String(), "err", why)
	case n > 0 || late != "":
		k.Logger.Warn("checkpoints are not outside; they are in the log, and the next start brings them", "place", k.Outside.String(), "checkpoints", n, "err", why)
	}
}

// bringAll brings what is signed, whenever it is woken, and once more when last is closed.
func (k *Keeper) bringAll(ctx context.Context, last <-chan struct{}) {
	for {
		select {
		case <-k.bringer.wake:
			k.bring(ctx)
		case <-last:
			k.bring(ctx)
			return
		}
	}
}

// signedTo is what was signed, as far as it is to be brought.
type signedTo struct {
	seq  int64
	hash [sha256.Size]byte // of the last one
	next int64             // the offset behind it
}

// bring is one try, and keeps what came of it.
func (k *Keeper) bring(ctx context.Context) {
	k.mu.Lock()
	ready, to := k.ready, signedTo{k.state.seq, k.state.last, k.state.next}
	k.mu.Unlock()
	if !ready {
		return
	}
	b := k.bringer
	b.mu.Lock()
	known, before := b.known, b.err
	b.since = k.Now()
	b.mu.Unlock()
	last, err := k.bringTo(ctx, to)
	b.mu.Lock()
	b.since, b.err = time.Time{}, err
	select {
	case <-b.tried:
	default:
		close(b.tried)
	}
	if err == nil {
		b.last, b.known = last, true
	}
	b.mu.Unlock()
	n, _ := b.missing(to.seq, k.Now())
	k.metrics.missing.Set(float64(n))
	switch {
	case err != nil && ctx.Err() != nil: // the node stops, and says what was not brought
	case err != nil && !known && fault.KindOf(err) == fault.Conflict:
		k.stand(err)
	case err != nil:
		k.metrics.failed.Inc()
		if before == nil || before.Error() != err.Error() {
			k.Logger.Warn("checkpoints wait in the log until they can be brought outside", "place", k.Outside.String(), "err", err)
		}
	case before != nil:
		k.Logger.Info("checkpoints are outside again", "place", k.Outside.String())
	}
	if err == nil && !known {
		close(b.looked)
	}
}

// bringTo brings what the place lacks, and says what it ends with then.
func (k *Keeper) bringTo(ctx context.Context, to signedTo) (*Signed, error) {
	b := k.bringer
	if b.last != nil && b.last.seq == to.seq {
		return b.last, nil
	}
	last, err := k.Outside.Last(ctx, k.check)
	if err != nil {
		return nil, err
	}
	var have int64
	if last != nil {
		have = last.seq
	}
	switch {
	case have > to.seq || have > 0 && have == to.seq && hashOf(last.raw) != to.hash:
		err := fault.New(fault.Conflict, "%s ends with checkpoint %d of this node's key, and the node knows another one or none: its log is older, or was cut; or a copy of this node signs, too", k.Outside, have)
		return nil, err.WithHint("dalamb audit verify says what differs; docs/audit.md")
	case have == to.seq:
		b.next = to.next
		return last, nil
	case b.last != nil && have < b.last.seq:
		b.next = 0 // what was brought is gone; all of it is in the log
	}
	for b.next < to.next {
		add, next, err := k.lacking(ctx, to.next, last)
		if err != nil {
			return nil, err
		}
		if len(add) > 0 {
			if err := k.Outside.Add(ctx, k.check, add); err != nil {
				return nil, fmt.Errorf("add checkpoints to %s: %w", k.Outside, err)
			}
			last = add[len(add)-1]
		}
		b.next = next
	}
	return last, nil
}

// maxBatch is how many bytes of checkpoints are brought at a time.
const maxBatch = 4 << 20

// lacking are the next checkpoints that a place lacks which ends with last, and the offset behind them.
func (k *Keeper) lacking(ctx context.Context, to int64, last *Signed) (add []*Signed, next int64, err error) {
	var have int64
	if last != nil {
		have = last.seq
	}
	size := 0
	err = readCheckpoints(ctx, k.Log, k.bringer.next, k.check, func(c *Signed, at int64, err error) error {
		switch {
		case err != nil:
			return fmt.Errorf("the checkpoint at %s/0@%d %w", function.TopicCheckpoints, at, err)
		case at >= to || size >= k.bringer.batch:
			return errEnough
		case last != nil && c.seq == last.seq && hashOf(c.raw) != hashOf(last.raw):
			return fault.New(fault.Conflict, "%s ends with another checkpoint %d than the one that this node has signed", k.Outside, c.seq).
				WithHint("does a copy of this node sign, too? dalamb audit verify says what differs")
		case c.seq > have: // the same one may be in the log twice
			add, have, size = append(add, c), c.seq, size+len(c.raw)
		}
		next = at + 1
		return nil
	})
	if err == nil {
		next = to
	} else if errors.Is(err, errEnough) {
		err = nil
	}
	return add, next, err
}

// errEnough ends a reading.
var errEnough = errors.New("that is enough")
