package kafka

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

const (
	// txnSlots is how many transactions of this node may be under way. While Kafka still writes the end of one, a second
	// producer's can go on; with more, fewer calls would share one.
	txnSlots = 2
	// What one transaction takes of what waits.
	txnBytes = 8 << 20
	txnCalls = 1024
)

// txns stores calls that span partitions, or that move a group's positions with their records. Calls that arrive while all
// slots are busy share the next transaction.
type txns struct {
	log *Log

	mu      sync.Mutex
	waiting []*txnCall
	size    int
	idle    []*slot
	closing bool
	running sync.WaitGroup
}

// txnCall is what one caller wants stored: all of it or nothing.
type txnCall struct {
	plan    *plan
	group   string
	offsets []eventlog.GroupOffset
	member  *member // nil = nobody claims anything
	claims  []eventlog.Partition

	positions []eventlog.Position
	err       error
	done      chan struct{}
}

// slot is one transactional identity. It has one transaction under way at a time.
type slot struct {
	log      *Log
	client   *kgo.Client
	id       string // transactional.id
	producer producer
}

func (x *txns) init(l *Log) error {
	x.log = l
	for n := range txnSlots {
		c, err := l.newClient()
		if err != nil {
			return err
		}
		s := &slot{log: l, client: c, id: fmt.Sprintf("dalamb-%s-%d", l.o.Node, n), producer: noProducer()}
		l.loops.Go(func() { x.open(s) })
	}
	return nil
}

// open takes the identity of a slot at once, which ends what this node's predecessor has left open. Where that does not
// succeed the first transaction tries again.
func (x *txns) open(s *slot) {
	ctx, release := x.log.life.within(context.Background())
	defer release()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := s.begin(ctx); err != nil && !x.log.life.ended() {
		x.log.log.Warn("take the identity of transactions", "err", err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.idle = append(x.idle, s)
	switch {
	case x.closing: // nobody waited for who came before the first slot was there
		for _, c := range x.waiting {
			c.finish(eventlog.ErrClosed)
		}
		x.waiting = nil
	case len(x.waiting) > 0:
		x.start()
	}
}

// start has the slot that has been idle longest work off what waits: what it ended last is written by now. x.mu is held.
func (x *txns) start() {
	s := x.idle[0]
	x.idle = x.idle[1:]
	x.running.Go(func() { x.run(s) })
}

func (x *txns) store(ctx context.Context, c *txnCall) ([]eventlog.Position, error) {
	c.done = make(chan struct{})
	x.mu.Lock()
	switch {
	case x.closing:
		x.mu.Unlock()
		return nil, eventlog.ErrClosed
	case x.size > maxWaiting:
		x.mu.Unlock()
		return nil, fault.New(fault.Unavailable, "%d bytes wait already for a transaction", x.size).
			WithHint("look after the brokers; dalamb goes on by itself")
	}
	x.waiting = append(x.waiting, c)
	x.size += c.plan.size
	if len(x.idle) > 0 {
		x.start()
	}
	x.mu.Unlock()
	select {
	case <-c.done:
		return c.positions, c.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (x *txns) wait() {
	x.mu.Lock()
	x.closing = true
	x.mu.Unlock()
	x.running.Wait()
}

// run works off what waits, on one slot.
func (x *txns) run(s *slot) {
	for {
		x.mu.Lock()
		n, size := 0, 0
		for n < len(x.waiting) && n < txnCalls && size < txnBytes {
			size += x.waiting[n].plan.size
			n++
		}
		calls := x.waiting[:n:n]
		x.waiting, x.size = x.waiting[n:], x.size-size
		if n == 0 {
			x.idle = append(x.idle, s)
			x.mu.Unlock()
			return
		}
		x.mu.Unlock()
		s.store(calls)
	}
}

func (c *txnCall) finish(err error) {
	c.err = err
	close(c.done)
}

// store stores calls together. Where that is refused each is tried alone, so that one that cannot be stored harms nobody.
func (s *slot) store(calls []*txnCall) {
	ctx, cancel := until(patience)
	defer cancel()
	began := time.Now()
	for n := 0; ; n++ {
		fences, live := fencesOf(calls)
		calls = live
		if len(calls) == 0 {
			return
		}
		o := s.attempt(ctx, calls, fences)
		switch {
		case o.err == nil:
			records, bytes := 0, 0
			for _, c := range calls {
				records, bytes = records+len(c.plan.records), bytes+c.plan.size
				c.finish(nil)
			}
			s.log.metrics.stored(records, bytes, time.Since(began))
			return
		case o.unknown:
		case o.stale && ctx.Err() == nil:
			// The generation has changed. Who owns what it claims still goes on with the new one.
			for m := range fences {
				m.settled(ctx, fences[m])
			}
			if pause(ctx, n) == nil {
				continue
			}
		case len(calls) > 1 && !fault.Retryable(o.err):
			for _, c := range calls {
				s.store([]*txnCall{c})
			}
			return
		}
		for _, c := range calls {
			c.finish(s.log.silence(o.err))
		}
		return
	}
}

// fencesOf takes the generation of each member that is among the calls. A call whose member does not own what it claims is
// finished here.
func fencesOf(calls []*txnCall) (map[*member]fence, []*txnCall) {
	of := make(map[*member][]*txnCall, 1)
	live := calls[:0:0]
	for _, c := range calls {
		if c.member == nil {
			live = append(live, c)
		} else {
			of[c.member] = append(of[c.member], c)
		}
	}
	fences := make(map[*member]fence, len(of))
	for m, cs := range of {
		f, ok := m.admit(cs)
		for i, c := range cs {
			if !ok[i] {
				c.finish(eventlog.ErrFenced)
				continue
			}
			live = append(live, c)
			fences[m] = f
		}
	}
	return fences, live
}

// outcome is what came of a transaction that has not been committed for certain.
type outcome struct {
	err     error
	unknown bool // it may have been committed, or may yet be
	stale   bool // a fence's generation was not the group's
}

// attempt stores calls in one transaction.
func (s *slot) attempt(ctx context.Context, calls []*txnCall, fences map[*member]fence) outcome {
	if s.producer.id < 0 {
		if err := s.begin(ctx); err != nil {
			return outcome{err: err}
		}
	}
	batches, moves := batchesOf(calls), movesOf(calls, fences)
	if err := s.put(ctx, batches); err != nil {
		s.abort()
		return outcome{err: err}
	}
	if o := s.move(ctx, moves); o.err != nil {
		s.abort()
		return o
	}
	if f := s.log.o.hooks.beforeEnd; f != nil {
		f()
	}
	o := s.commit(ctx)
	if o.err == nil {
		keep(calls, batches, moves)
	}
	return o
}

// keep notes where everything is that has been stored.
func keep(calls []*txnCall, batches []*batch, moves []*move) {
	for _, b := range batches {
		b.locate()
	}
	for _, c := range calls {
		c.positions = c.plan.positions()
	}
	for _, m := range moves {
		if m.member != nil {
			m.member.moved(m.offsets)
		}
	}
}

// needsTransactions is the level of Kafka's feature transaction.version from which on each transaction has an epoch of its
// own (KIP-890): what a dead or frozen node has sent late can then not join a later transaction.
const needsTransactions = 2

// begin takes the slot's identity. Whoever had it before is fenced, and its open transaction ended.
func (s *slot) begin(ctx context.Context) error {
	resp, err := kmsg.NewPtrApiVersionsRequest().RequestWith(ctx, s.client)
	if err != nil {
		return s.log.failure(err)
	}
	level := int16(0)
	for _, f := range resp.FinalizedFeatures {
		if f.Name == "transaction.version" {
			level = f.MaxVersionLevel
		}
	}
	if level < needsTransactions {
		return fault.New(fault.Invalid, "Kafka at %s has feature transaction.version %d, dalamb needs %d", s.log.brokers(), level, needsTransactions).
			WithHint("use Kafka 4.0 or later; on a cluster that was upgraded: kafka-features.sh upgrade --feature transaction.version=%d", needsTransactions)
	}
	s.producer, err = s.log.newProducer(ctx, s.client, &s.id)
	return err
}

// batchesOf puts the records of calls into batches, several for a partition where one does not hold them.
func batchesOf(calls []*txnCall) []*batch {
	open := make(map[place]*batch)
	var all []*batch
	for _, c := range calls {
		for i, r := range c.plan.records {
			t := c.plan.topics[i]
			at := t.place(r.Partition)
			b := open[at]
			if b == nil || !b.fits(r) {
				b = &batch{topic: t, id: r.Partition}
				open[at] = b
				all = append(all, b)
			}
			b.add(r)
		}
	}
	return all
}

// put stores the batches: a request takes one of each partition, so that a partition's second goes with the next.
func (s *slot) put(ctx context.Context, batches []*batch) error {
	now := s.log.stamps.now()
	sequences := make(map[place]int32, len(batches))
	var rounds [][]*batch
	turn := make(map[place]int, len(batches))
	for _, b := range batches {
		at := b.topic.place(b.id)
		// Each transaction has its own epoch, and sequences begin anew with it.
		b.encode(s.producer, sequences[at], true, now)
		sequences[at] += int32(len(b.records))
		n := turn[at]
		turn[at]++
		if n == len(rounds) {
			rounds = append(rounds, nil)
		}
		rounds[n] = append(rounds[n], b)
	}
	for _, round := range rounds {
		if err := s.log.sendAll(ctx, s.client, &s.id, round); err != nil {
			return passing(err)
		}
	}
	return nil
}

// abort ends the transaction and gives up what it stored. Where that is not certain the identity is given up too: to take
// it again ends the transaction.
func (s *slot) abort() {
	ctx, cancel := until(patience / 2)
	defer cancel()
	if err := s.end(ctx, false); err != nil {
		s.producer = noProducer()
	}
	s.log.metrics.aborts.Inc()
}

// commit ends the transaction and keeps what it stored. Of an error nobody can say whether it came before that or after.
func (s *slot) commit(ctx context.Context) outcome {
	if err := s.end(ctx, true); err != nil {
		s.producer = noProducer()
		return outcome{unknown: true, err: fault.New(fault.Unavailable, "the end of a transaction is not known: %w", s.log.failure(err))}
	}
	return outcome{}
}

// end asks the coordinator to end the transaction, again where the answer was lost, which is safe: the answer is then that
// of the first.
func (s *slot) end(ctx context.Context, commit bool) error {
	for n := 0; ; n++ {
		req := kmsg.NewPtrEndTxnRequest()
		req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = s.id, s.producer.id, s.producer.epoch, commit
		resp, err := req.RequestWith(ctx, s.client)
		if err == nil {
			if err = kerr.ErrorForCode(resp.ErrorCode); err == nil {
				s.producer = producer{resp.ProducerID, resp.ProducerEpoch}
				return nil
			}
		}
		if !passes(err) || pause(ctx, n) != nil {
			return err
		}
	}
}
