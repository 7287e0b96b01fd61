package kafka

import (
	"hash/crc32"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/dalamb/dalamb/internal/eventlog"
)

// producer is an identity under which a broker takes each batch of a partition once.
type producer struct {
	id    int64
	epoch int16
}

// noProducer stands for an identity that has yet to be asked for.
func noProducer() producer { return producer{-1, -1} }

// batch is what one request stores on one partition: all of it or nothing.
type batch struct {
	topic   *topic
	id      int32 // partition
	records []*eventlog.Record
	size    int   // of the records, as stored
	base    int64 // the offset of the first, when it is stored
	wire    []byte
}

// Bytes that a batch and a record in it take beside key, value and headers, at most.
const (
	batchHead  = 61
	recordHead = 36
)

// recordSize is how many bytes a record takes in a batch, at most.
func recordSize(r *eventlog.Record) int {
	n := recordHead + len(r.Key) + len(r.Value)
	for i := range r.Headers {
		n += 10 + len(r.Headers[i].Name) + len(r.Headers[i].Value)
	}
	return n
}

// fits says whether a record may join the batch.
func (b *batch) fits(r *eventlog.Record) bool {
	return len(b.records) == 0 || b.size+recordSize(r)+batchHead <= min(b.topic.maxBatch, defaultBatch)
}

func (b *batch) add(r *eventlog.Record) {
	b.records = append(b.records, r)
	b.size += recordSize(r)
}

const (
	attributeTransactional = 1 << 4
	batchMagic             = 2
	// The parts of a batch before its length counts, and before its checksum does.
	beforeLength = 12
	beforeCRC    = 21
)

// encode writes the batch as Kafka stores it: record batch, magic 2. now stamps what has no time.
func (b *batch) encode(p producer, sequence int32, transactional bool, now int64) {
	stamp := func(r *eventlog.Record) int64 {
		if r.Time.IsZero() {
			return now
		}
		return r.Time.UnixMilli()
	}
	w := kmsg.RecordBatch{
		PartitionLeaderEpoch: -1, Magic: batchMagic, ProducerID: p.id, ProducerEpoch: p.epoch, FirstSequence: sequence,
		LastOffsetDelta: int32(len(b.records) - 1), NumRecords: int32(len(b.records)), FirstTimestamp: stamp(b.records[0]),
	}
	if transactional {
		w.Attributes = attributeTransactional
	}
	w.MaxTimestamp = w.FirstTimestamp
	w.Records = make([]byte, 0, b.size)
	for i, r := range b.records {
		at := stamp(r)
		w.MaxTimestamp = max(w.MaxTimestamp, at)
		w.Records = appendRecord(w.Records, r, at-w.FirstTimestamp, i)
	}
	w.Length = int32(batchHead - beforeLength + len(w.Records))
	b.wire = w.AppendTo(make([]byte, 0, batchHead+len(w.Records)))
	sum := crc32.Checksum(b.wire[beforeCRC:], crc32.MakeTable(crc32.Castagnoli))
	kbin.AppendUint32(b.wire[beforeCRC-4:beforeCRC-4], sum)
	w.Records = nil
}

func appendRecord(dst []byte, r *eventlog.Record, after int64, delta int) []byte {
	k := kmsg.Record{TimestampDelta64: after, OffsetDelta: int32(delta), Key: r.Key, Value: r.Value}
	if n := len(r.Headers); n > 0 {
		k.Headers = make([]kmsg.Header, n)
		for i, h := range r.Headers {
			k.Headers[i] = kmsg.Header{Key: h.Name, Value: h.Value}
		}
	}
	// The length of a record is that of what follows it.
	start := len(dst)
	dst = k.AppendTo(dst)
	k.Length = int32(len(dst) - start - 1)
	return k.AppendTo(dst[:start])
}

// locate tells the records where they are stored.
func (b *batch) locate() {
	for i, r := range b.records {
		r.Offset = b.base + int64(i)
	}
}

func timeOf(millis int64) time.Time { return time.UnixMilli(millis).UTC() }
