package kafka

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

// lanes store calls that stay within one partition. Such a call is one batch or a part of one, which Kafka stores whole or
// not at all, so that it needs no transaction. Calls that arrive while a batch of their partition is under way share the next.
type lanes struct {
	client *kgo.Client

	mu       sync.Mutex
	of       map[place]*lane
	couriers map[int32]*courier
	closing  bool
	running  sync.WaitGroup
}

// maxWaiting is how many bytes may wait for one partition before calls are refused.
const maxWaiting = 32 << 20

// call is an append to one partition.
type call struct {
	topic   *topic
	records []*eventlog.Record
	size    int
	err     error
	done    chan struct{}
}

// lane stores on one partition, one batch at a time.
type lane struct {
	log   *Log
	place place

	mu      sync.Mutex
	waiting []*call
	size    int
	busy    bool // run is under way

	producer producer // run's
	sequence int32    // run's: of the next batch
}

// store appends records to one partition of a topic. They must fit in one batch.
func (ls *lanes) store(ctx context.Context, l *Log, c *call) error {
	ls.mu.Lock()
	if ls.closing {
		ls.mu.Unlock()
		return eventlog.ErrClosed
	}
	at := c.topic.place(c.records[0].Partition)
	ln := ls.of[at]
	if ln == nil {
		ln = &lane{log: l, place: at, producer: noProducer()}
		ls.of[at] = ln
	}
	err := ln.push(c, &ls.running)
	ls.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// wait lets nobody in any more and waits for who is in.
func (ls *lanes) wait() {
	ls.mu.Lock()
	ls.closing = true
	ls.mu.Unlock()
	ls.running.Wait()
}

func (ln *lane) push(c *call, running *sync.WaitGroup) error {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	if ln.size > maxWaiting {
		return fault.New(fault.Unavailable, "%d bytes wait already to be stored on %s/%d", ln.size, c.topic.name, ln.place.id).
			WithHint("look after the brokers; dalamb goes on by itself")
	}
	ln.waiting = append(ln.waiting, c)
	ln.size += c.size
	if !ln.busy {
		ln.busy = true
		running.Go(ln.run)
	}
	return nil
}

// next takes what goes into the next batch; nothing ends run.
func (ln *lane) next() (*batch, []*call) {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	if len(ln.waiting) == 0 {
		ln.busy = false
		return nil, nil
	}
	b := &batch{topic: ln.waiting[0].topic, id: ln.place.id}
	n := 0
	for _, c := range ln.waiting {
		if n > 0 && b.size+c.size+batchHead > min(b.topic.maxBatch, defaultBatch) {
			break
		}
		for _, r := range c.records {
			b.add(r)
		}
		ln.size -= c.size
		n++
	}
	calls := ln.waiting[:n:n]
	ln.waiting = ln.waiting[n:]
	return b, calls
}

func (ln *lane) run() {
	for {
		b, calls := ln.next()
		if b == nil {
			return
		}
		err := ln.put(b)
		if err != nil && len(calls) > 1 && !fault.Retryable(err) {
			// One of them may be what the broker refuses.
			for _, c := range calls {
				alone := &batch{topic: c.topic, id: ln.place.id}
				for _, r := range c.records {
					alone.add(r)
				}
				c.finish(ln.log.silence(ln.put(alone)))
			}
			continue
		}
		for _, c := range calls {
			c.finish(ln.log.silence(err))
		}
	}
}

func (c *call) finish(err error) {
	c.err = err
	close(c.done)
}

// put stores one batch.
func (ln *lane) put(b *batch) error {
	ctx, cancel := until(patience)
	defer cancel()
	l, began := ln.log, time.Now()
	for n := 0; ; n++ {
		if ln.producer.id < 0 {
			p, err := l.newProducer(ctx, l.client, nil)
			if err != nil {
				return err
			}
			ln.producer, ln.sequence = p, 0
		}
		b.encode(ln.producer, ln.sequence, false, l.stamps.now())
		fresh, err := ln.try(ctx, b)
		if err == nil {
			if ln.sequence += int32(len(b.records)); ln.sequence < 0 {
				ln.producer = noProducer() // instead of counting on from 0
			}
			b.locate()
			l.metrics.stored(len(b.records), b.size, time.Since(began))
			return nil
		}
		// Whatever the broker has of this batch, the identity's sequence is not to be trusted any more.
		ln.producer = noProducer()
		if !lostIdentity(err) {
			return err
		}
		if !fresh || n > 0 {
			return fault.New(fault.Unavailable, "store on %s/%d: %w", b.topic.name, b.id, err)
		}
		// Said to the first sending, so that nothing is stored: an identity that is not used for a day is forgotten.
	}
}

// try sends a batch until it is stored, refused or out of time. fresh says that only its first sending was answered.
func (ln *lane) try(ctx context.Context, b *batch) (fresh bool, err error) {
	l := ln.log
	for n := 0; ; n++ {
		err := l.courier(b.topic.leaders[b.id]).send(b)
		switch {
		case err == nil:
			return n == 0, nil
		case !passes(err):
			return n == 0, l.failure(err)
		case pause(ctx, n) != nil:
			return false, l.failure(err)
		}
		if err := l.relocate(ctx, l.lanes.client, []*batch{b}, err); err != nil {
			return false, err
		}
	}
}

// courier carries the batches of all lanes to one broker, all that are ready with one request.
type courier struct {
	log    *Log
	broker int32

	mu    sync.Mutex
	ready []parcel
	busy  bool
}

type parcel struct {
	batch *batch
	done  chan error
}

func (l *Log) courier(broker int32) *courier {
	l.lanes.mu.Lock()
	defer l.lanes.mu.Unlock()
	c := l.lanes.couriers[broker]
	if c == nil {
		c = &courier{log: l, broker: broker}
		l.lanes.couriers[broker] = c
	}
	return c
}

// send hands a batch over and waits for its answer.
func (c *courier) send(b *batch) error {
	p := parcel{b, make(chan error, 1)}
	c.mu.Lock()
	c.ready = append(c.ready, p)
	if !c.busy {
		c.busy = true
		c.log.lanes.running.Go(c.run)
	}
	c.mu.Unlock()
	return <-p.done
}

func (c *courier) run() {
	for {
		c.mu.Lock()
		ready := c.ready
		c.ready = nil
		if len(ready) == 0 {
			c.busy = false
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		c.carry(ready)
	}
}

func (c *courier) carry(ready []parcel) {
	ctx, cancel := until(patience)
	defer cancel()
	batches := make([]*batch, len(ready))
	for i, p := range ready {
		batches[i] = p.batch
	}
	for _, some := range portions(batches) {
		for i, err := range c.log.produce(ctx, c.log.lanes.client, c.broker, nil, some) {
			ready[i].done <- err
		}
		ready = ready[len(some):]
	}
}
