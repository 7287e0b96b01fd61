package idempotency

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// Why a request is neither run nor answered.
var (
	// ErrOther: the key was used for another request.
	ErrOther = errors.New("the key was used for another request")
	// ErrBusy: the same request is being run, and was not answered while this one waited.
	ErrBusy = errors.New("the same request is being run")
	// ErrGone: the request was answered, and the answer is not kept.
	ErrGone = errors.New("the answer is not kept")
	// ErrLost: the claim's time was over, and somebody else has claimed the key.
	ErrLost = errors.New("the claim is another's")
)

// Request is what wants to be run once.
type Request struct {
	Key             Digest
	Fingerprint     Digest        // two requests with the same one are the same request
	Function, Route string        // for people who read the log
	Bound           time.Duration // after so long no answer comes any more
}

// Entered is a request that is to be run, Claim, or was: Answer. Exactly one of them is set.
type Entered struct {
	Run     string // of the first time that it was run
	Attempt int    // counts how often it was begun
	Before  Before // zero where this is the first attempt
	Claim   *Claim
	Answer  *function.Answer
}

// Before is when the attempts before this one were made: since the first was begun, and before the time was over that the last one had.
type Before struct{ Since, Until time.Time }

// Claim is the right to run a request, until its deadline. It ends with Answer or Free.
type Claim struct {
	keys   *Keys
	part   *part
	digest Digest
	rec    *record
	offset int64
}

// Enter claims a key, or gives what was answered under it. While another one runs the same request it waits, as long as ctx does. Its errors are
// ErrOther, ErrBusy, ErrGone, and those of the log; the request must not be run then.
func (k *Keys) Enter(ctx context.Context, r Request) (*Entered, error) {
	p := k.parts[partitionOf(r.Key)]
	select {
	case <-p.ready: // before, an answer could stand in what was not read yet
	case <-ctx.Done():
		return nil, fault.New(fault.Unavailable, "the keys of earlier requests were not read in time: %w", ctx.Err()).WithHint("the node has just started; try again")
	}
	for {
		now := k.o.Now()
		is, stands, ended := k.look(p, r.Key, now)
		switch {
		case stands == answered:
			return k.again(ctx, p, is.last, &r)
		case stands != none && is.open.Fingerprint != r.Fingerprint:
			return nil, ErrOther
		case stands == running:
			if err := await(ctx, ended, is.open.Deadline.Sub(now)); err != nil {
				return nil, err
			}
			continue
		}
		e, err := k.claim(ctx, p, &r, &is)
		if e != nil || err != nil {
			return e, err
		}
	}
}

// standing is what a key is at a moment.
type standing int

const (
	none      standing = iota
	running            // somebody runs the request
	abandoned          // who did is gone
	answered
)

// look tells how a key stands. ended is closed when a request that runs does not any more.
func (k *Keys) look(p *part, key Digest, now time.Time) (is entry, stands standing, ended <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.state.keys[key]
	switch {
	case e == nil:
		return entry{last: -1}, none, nil
	case e.over(now):
		return *e, none, nil
	case e.open == nil:
		return *e, answered, nil
	case e.open.orphan || !k.shared && e.open.Node != k.node:
		return *e, abandoned, nil
	}
	return *e, running, e.open.ended
}

// await waits for the end of a request that another one runs, which comes by itself when its time is over.
func await(ctx context.Context, ended <-chan struct{}, left time.Duration) error {
	t := time.NewTimer(left)
	defer t.Stop()
	select {
	case <-ended:
	case <-t.C:
	case <-ctx.Done():
		return ErrBusy
	}
	return nil
}

// again gives an answer that stands in the log.
func (k *Keys) again(ctx context.Context, p *part, offset int64, r *Request) (*Entered, error) {
	records, err := k.o.Log.Read(ctx, p.partition, offset, eventlog.ReadOptions{MaxRecords: 1, NoWait: true})
	if err != nil {
		return nil, fmt.Errorf("read the answer to a request of function %s: %w", r.Function, err)
	}
	if len(records) == 0 || records[0].Offset != offset {
		return nil, ErrGone
	}
	_, _, rec, err := decode(&records[0])
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the answer to a request of function %s: %w", r.Function, err)
	case rec == nil || rec.Answer == nil:
		return nil, fmt.Errorf("read the answer to a request of function %s: offset %d of %s/%d has none", r.Function, offset, p.partition.Topic, p.partition.ID)
	case rec.Fingerprint != r.Fingerprint:
		return nil, ErrOther
	}
	return &Entered{Run: rec.Run, Attempt: rec.Attempt, Answer: rec.Answer}, nil
}

// claim tries to take a key that stood like this. nil = somebody else was first.
func (k *Keys) claim(ctx context.Context, p *part, r *Request, is *entry) (*Entered, error) {
	now := k.o.Now().UTC()
	rec := &record{
		Claim: event.NewID(), Function: r.Function, Route: r.Route, Fingerprint: r.Fingerprint, Node: k.node, Run: event.NewID(), Attempt: 1, Begun: now,
		At: now, Expects: is.last, Deadline: now.Add(r.Bound),
	}
	var before Before
	if is.open != nil && is.open.Fingerprint == r.Fingerprint { // nobody knows how far it came: this is its next attempt
		rec.Run, rec.Attempt, rec.Begun = is.open.Run, is.open.Attempt+1, is.open.begun()
		before = Before{rec.Begun, is.open.Deadline}
		if is.yielded != nil { // it came to nothing, so this one takes its place
			rec.Attempt, before = is.open.Attempt, *is.yielded
		}
	}
	offset, holds, err := k.put(ctx, p, r.Key, rec)
	switch {
	case err != nil:
		p.orphan(r.Key, rec.Claim)
		return nil, fault.New(fault.Unavailable, "the log did not take the request's key: %w", err).WithHint("the function was not asked; try again")
	case !holds:
		return nil, nil
	}
	return &Entered{Run: rec.Run, Attempt: rec.Attempt, Before: before, Claim: &Claim{keys: k, part: p, digest: r.Key, rec: rec, offset: offset}}, nil
}

// put appends a record, and waits until the fold says whether it holds.
func (k *Keys) put(ctx context.Context, p *part, key Digest, rec *record) (offset int64, holds bool, err error) {
	verdict := make(chan bool, 1)
	p.mu.Lock()
	p.waiting[rec.Claim] = verdict
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.waiting, rec.Claim)
	}()
	at, err := k.o.Log.Append(ctx, []eventlog.Record{encode(key, rec.Claim, rec)})
	if err != nil {
		return 0, false, fmt.Errorf("append to %s/%d: %w", p.partition.Topic, p.partition.ID, err)
	}
	select {
	case holds = <-verdict:
		return at[0].Offset, holds, nil
	case <-ctx.Done():
		return 0, false, fmt.Errorf("read %s/%d back: %w", p.partition.Topic, p.partition.ID, ctx.Err())
	}
}

// orphan gives up a claim that was made here and may have been stored. Where the fold comes to it later, that knows that nobody waits for it.
func (p *part) orphan(key Digest, claim string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.state.keys[key]; e != nil && e.open != nil && e.open.Claim == claim {
		e.open.giveUp()
	}
}

// Yield leaves an attempt to who comes next at this node, before it has brought about anything: what that has to look through is what this one had to,
// before. It appends nothing: another node takes the claim for one that is made use of, until its time is over.
func (c *Claim) Yield(before Before) {
	c.part.mu.Lock()
	defer c.part.mu.Unlock()
	if e := c.part.state.keys[c.digest]; e != nil && e.open != nil && e.open.Claim == c.rec.Claim {
		e.yielded = &before
		e.open.giveUp()
	}
}

// Answer stores what was answered, for so long from now on. When it returns nil the request is not run again until then; ErrLost says that the claim
// is over, and the answer is nobody's.
func (c *Claim) Answer(ctx context.Context, a *function.Answer, keep time.Duration) error {
	rec := *c.rec
	rec.At = c.keys.o.Now().UTC()
	rec.Claimed, rec.Expires, rec.Answer = c.offset, rec.At.Add(keep), a
	_, holds, err := c.keys.put(ctx, c.part, c.digest, &rec)
	if err == nil && !holds {
		err = ErrLost
	}
	return err
}

// Free makes the key free: the same request may be run again. Where the log does not take that, this node knows it nevertheless.
func (c *Claim) Free(ctx context.Context) error {
	if _, err := c.keys.o.Log.Append(ctx, []eventlog.Record{encode(c.digest, c.rec.Claim, nil)}); err != nil {
		c.part.orphan(c.digest, c.rec.Claim)
		return fmt.Errorf("append to %s/%d: %w", c.part.partition.Topic, c.part.partition.ID, err)
	}
	return nil
}
