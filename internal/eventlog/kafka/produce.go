package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

// produce asks one broker to store batches, at most one of each partition. It does not retry. What came of each batch is in
// their order; one that is stored knows where.
func (l *Log) produce(ctx context.Context, c *kgo.Client, broker int32, txn *string, batches []*batch) []error {
	out := make([]error, len(batches))
	req := kmsg.NewPtrProduceRequest()
	req.TransactionID, req.Acks, req.TimeoutMillis = txn, -1, int32(patience.Milliseconds())
	at := make(map[place]int, len(batches))
	topics := make(map[[16]byte]int)
	for i, b := range batches {
		at[b.topic.place(b.id)] = i
		n, ok := topics[b.topic.id]
		if !ok {
			n = len(req.Topics)
			topics[b.topic.id] = n
			rt := kmsg.NewProduceRequestTopic()
			rt.Topic, rt.TopicID = b.topic.name, b.topic.id
			req.Topics = append(req.Topics, rt)
		}
		rp := kmsg.NewProduceRequestTopicPartition()
		rp.Partition, rp.Records = b.id, b.wire
		req.Topics[n].Partitions = append(req.Topics[n].Partitions, rp)
		out[i] = kerr.UnknownServerError
	}
	r, err := c.Broker(int(broker)).Request(ctx, req)
	if err != nil {
		for i := range out {
			out[i] = err
		}
		return out
	}
	byName := make(map[string][16]byte, len(req.Topics))
	for _, rt := range req.Topics {
		byName[rt.Topic] = rt.TopicID
	}
	for _, rt := range r.(*kmsg.ProduceResponse).Topics {
		id := rt.TopicID
		if rt.Topic != "" {
			id = byName[rt.Topic]
		}
		for _, rp := range rt.Partitions {
			if i, ok := at[place{id, rp.Partition}]; ok {
				out[i] = answerTo(batches[i], rp)
			}
		}
	}
	return out
}

func answerTo(b *batch, rp kmsg.ProduceResponseTopicPartition) error {
	err := kerr.ErrorForCode(rp.ErrorCode)
	switch {
	case err == nil:
		b.base = rp.BaseOffset
		return nil
	case rp.ErrorMessage != nil && *rp.ErrorMessage != "":
		err = fmt.Errorf("%w (%s)", err, *rp.ErrorMessage)
	}
	return err
}

// passes says whether the same request may succeed when it is sent again: the leader has moved, replicas are missing, the
// connection was lost. A broker that does not know a topic may not have heard of it yet: metadata has the last word.
func passes(err error) bool {
	var k *kerr.Error
	if errors.As(err, &k) {
		return k.Retriable || k == kerr.ConcurrentTransactions || k == kerr.UnknownTopicID
	}
	var f *fault.Error
	return !errors.As(err, &f) && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}

// sendAll stores batches of one identity, each again and again while that may help, until ctx is done.
func (l *Log) sendAll(ctx context.Context, c *kgo.Client, txn *string, batches []*batch) (err error) {
	for n := 0; ; n++ {
		var (
			mu    sync.Mutex
			again []*batch
			last  error
			wg    sync.WaitGroup
		)
		take := func(bs []*batch, out []error) {
			mu.Lock()
			defer mu.Unlock()
			for i, failed := range out {
				switch {
				case failed == nil:
				case passes(failed):
					again, last = append(again, bs[i]), failed
				default:
					err = failed
				}
			}
		}
		for broker, bs := range byLeader(batches) {
			wg.Go(func() {
				for _, some := range portions(bs) {
					take(some, l.produce(ctx, c, broker, txn, some))
				}
			})
		}
		wg.Wait()
		if err != nil {
			return l.failure(err)
		}
		if len(again) == 0 {
			return nil
		}
		if pause(ctx, n) != nil {
			return l.failure(last)
		}
		if err := l.relocate(ctx, c, again, last); err != nil {
			return err
		}
		batches = again
	}
}

// maxRequest is how many bytes one request stores at most; Kafka takes 100 MiB where nobody says anything else.
const maxRequest = 32 << 20

// portions cuts batches into what goes with one request each.
func portions(batches []*batch) [][]*batch {
	var all [][]*batch
	first, size := 0, 0
	for i, b := range batches {
		if size += len(b.wire); size > maxRequest && i > first {
			all = append(all, batches[first:i])
			first, size = i, len(b.wire)
		}
	}
	return append(all, batches[first:])
}

func byLeader(batches []*batch) map[int32][]*batch {
	of := make(map[int32][]*batch, 1)
	for _, b := range batches {
		leader := b.topic.leaders[b.id]
		of[leader] = append(of[leader], b)
	}
	return of
}

// relocate asks where partitions are led now. A topic that is another one by now is not there any more.
func (l *Log) relocate(ctx context.Context, c *kgo.Client, batches []*batch, why error) error {
	if errors.Is(why, kerr.ConcurrentTransactions) {
		return nil // the leaders are where they were
	}
	l.meet(ctx, c)
	for _, b := range batches {
		t, err := l.refresh(ctx, b.topic.name)
		switch {
		case gone(err):
			return err
		case err == nil && t.id != b.topic.id:
			return eventlog.AnotherTopic(b.topic.name)
		case err == nil:
			b.topic = t
		}
	}
	return nil
}

// meet lets a client learn of the brokers that there are now. Each client has to by itself.
func (l *Log) meet(ctx context.Context, c *kgo.Client) {
	if _, err := l.metadata(ctx, c, []string{}); err != nil {
		l.log.Debug("ask for brokers", "err", err)
	}
}

// newProducer asks for an identity; txn names a transactional one, whose predecessor's open transaction it ends.
func (l *Log) newProducer(ctx context.Context, c *kgo.Client, txn *string) (producer, error) {
	for n := 0; ; n++ {
		req := kmsg.NewPtrInitProducerIDRequest()
		req.TransactionalID, req.TransactionTimeoutMillis = txn, int32(l.o.TransactionTimeout.Milliseconds())
		resp, err := req.RequestWith(ctx, c)
		if err == nil {
			if err = kerr.ErrorForCode(resp.ErrorCode); err == nil {
				return producer{resp.ProducerID, resp.ProducerEpoch}, nil
			}
		}
		if !passes(err) {
			return noProducer(), l.failure(err)
		}
		if perr := pause(ctx, n); perr != nil {
			return noProducer(), l.failure(err)
		}
	}
}

// until gives a call under way the time of patience, also when who asked for it has gone away.
func until(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), d)
}
