package kafka

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/dalamb/dalamb/internal/eventlog"
)

// want is where a fetch begins on one partition.
type want struct {
	topic *topic
	id    int32
	from  int64
}

// fetched is what a fetch found there.
type fetched struct {
	records []eventlog.Record // committed ones, in order
	next    int64             // where the next fetch begins: past transactions' ends and what was aborted
	stable  int64             // nothing below it is in an open transaction
	err     error
}

// fetchOptions bounds a fetch.
type fetchOptions struct {
	broker    int32
	wait      int32 // milliseconds, while there is nothing
	bytes     int32 // over all partitions
	partition int32 // bytes of one partition
}

const readCommitted = 1

// fetch reads partitions that one broker leads. It does not retry. Its answer is in the order of the wants.
func (l *Log) fetch(ctx context.Context, c *kgo.Client, o fetchOptions, wants []want) ([]fetched, error) {
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.IsolationLevel = o.wait, 1, o.bytes, readCommitted
	req.SessionEpoch = -1 // no session: each request says all
	at := make(map[place]int, len(wants))
	topics := make(map[[16]byte]int)
	out := make([]fetched, len(wants))
	for i, w := range wants {
		at[w.topic.place(w.id)] = i
		out[i] = fetched{next: w.from, err: kerr.UnknownServerError}
		n, ok := topics[w.topic.id]
		if !ok {
			n = len(req.Topics)
			topics[w.topic.id] = n
			rt := kmsg.NewFetchRequestTopic()
			rt.Topic, rt.TopicID = w.topic.name, w.topic.id
			req.Topics = append(req.Topics, rt)
		}
		rp := kmsg.NewFetchRequestTopicPartition()
		rp.Partition, rp.FetchOffset, rp.PartitionMaxBytes = w.id, w.from, o.partition
		req.Topics[n].Partitions = append(req.Topics[n].Partitions, rp)
	}
	r, err := c.Broker(int(o.broker)).Request(ctx, req)
	if err != nil {
		return nil, err
	}
	resp := r.(*kmsg.FetchResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return nil, err
	}
	for _, rt := range resp.Topics {
		for i := range rt.Partitions {
			rp := &rt.Partitions[i]
			if n, ok := at[place{rt.TopicID, rp.Partition}]; ok {
				out[n] = l.decode(wants[n], rp)
			}
		}
	}
	return out, nil
}

// decode reads the records of a partition. What it returns does not hold on to the answer's memory.
func (l *Log) decode(w want, rp *kmsg.FetchResponseTopicPartition) fetched {
	o := kgo.ProcessFetchPartitionOpts{Offset: w.from, IsolationLevel: kgo.ReadCommitted(), Topic: w.topic.name, Partition: w.id}
	p, next := kgo.ProcessFetchPartition(o, rp, l.decompressor, nil)
	f := fetched{next: max(next, w.from), stable: p.LastStableOffset, err: p.Err}
	if len(p.Records) == 0 {
		return f
	}
	// What was read before an error is good.
	f.err = nil
	f.records = make([]eventlog.Record, len(p.Records))
	for i, r := range p.Records {
		f.records[i] = record(r)
	}
	return f
}

func record(r *kgo.Record) eventlog.Record {
	n := len(r.Key) + len(r.Value)
	for i := range r.Headers {
		n += len(r.Headers[i].Value)
	}
	// One piece of memory for all of a record.
	memory := make([]byte, 0, n)
	keep := func(b []byte) []byte {
		if b == nil {
			return nil
		}
		start := len(memory)
		memory = append(memory, b...)
		return memory[start:len(memory):len(memory)]
	}
	e := eventlog.Record{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Time: timeOf(r.Timestamp.UnixMilli())}
	e.Key, e.Value = keep(r.Key), keep(r.Value)
	if len(r.Headers) > 0 {
		e.Headers = make([]eventlog.Header, len(r.Headers))
		for i, h := range r.Headers {
			e.Headers[i] = eventlog.Header{Name: h.Key, Value: keep(h.Value)}
		}
	}
	return e
}
