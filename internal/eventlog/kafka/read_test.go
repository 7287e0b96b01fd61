package kafka_test

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/kafka"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/need"
)

// foreign is another program's producer.
func foreign(t testing.TB, brokers string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append(opts, kgo.SeedBrokers(brokers), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		t.Fatalf("NewClient() = %v", err)
	}
	t.Cleanup(c.Close)
	return c
}

// What other software writes is read as it is: with any compression, with headers that are no text, with and without keys.
func TestForeignRecords(t *testing.T) {
	t.Parallel()
	brokers := need.Kafka(t)
	l := open(t, node(brokers, "n-"+event.NewID()))
	for _, c := range []struct {
		name  string
		codec kgo.CompressionCodec
	}{
		{"none", kgo.NoCompression()}, {"gzip", kgo.GzipCompression()}, {"snappy", kgo.SnappyCompression()},
		{"lz4", kgo.Lz4Compression()}, {"zstd", kgo.ZstdCompression()},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			topic := newTopic(t, l, eventlog.Topic{Partitions: 1, Retention: eventlog.Forever}) // what is written is years old
			p := foreign(t, brokers, kgo.ProducerBatchCompression(c.codec))
			at := time.UnixMilli(1_700_000_000_000).UTC()
			sent := []*kgo.Record{
				{Value: bytes.Repeat([]byte("abc"), 10_000), Key: []byte{0xff, 0x00}},
				{Headers: []kgo.RecordHeader{{Key: "\xff\xfe", Value: []byte{0}}, {Key: ""}, {Key: "ce_id", Value: nil}, {Key: "ce_id", Value: []byte("1")}}},
				{Key: []byte{}, Value: []byte{}},
			}
			for _, r := range sent {
				r.Topic, r.Timestamp = topic, at
			}
			if err := p.ProduceSync(ctx(t), sent...).FirstErr(); err != nil {
				t.Fatalf("ProduceSync() = %v", err)
			}
			rs, err := l.Read(ctx(t), eventlog.Partition{Topic: topic}, 0, eventlog.ReadOptions{})
			if err != nil || len(rs) != len(sent) {
				t.Fatalf("Read() = %d records, %v, want %d", len(rs), err, len(sent))
			}
			for i, r := range rs {
				w := sent[i]
				if !bytes.Equal(r.Key, w.Key) || (r.Key == nil) != (w.Key == nil) || !bytes.Equal(r.Value, w.Value) ||
					(r.Value == nil) != (w.Value == nil) || !r.Time.Equal(at) || len(r.Headers) != len(w.Headers) {
					t.Errorf("record %d = %.100v, want %.100v", i, r, w)
				}
				for j, h := range r.Headers {
					if h.Name != w.Headers[j].Key || !bytes.Equal(h.Value, w.Headers[j].Value) {
						t.Errorf("record %d has header %q, want %q", i, h, w.Headers[j])
					}
				}
			}
		})
	}
}

// Another program's open transaction holds back what comes behind it. A reader that does not wait for more waits for that, and
// then finds what was stored before it began; one at the tail finds it too.
func TestOpenTransactionsHoldBackReaders(t *testing.T) {
	t.Parallel()
	brokers := need.Kafka(t)
	l := open(t, node(brokers, "n-"+event.NewID()))
	for name, commit := range map[string]kgo.TransactionEndTry{"committed": kgo.TryCommit, "aborted": kgo.TryAbort} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			topic := newTopic(t, l, eventlog.Topic{Partitions: 1})
			at := eventlog.Partition{Topic: topic}
			want := []string{"first", "behind"}
			if commit {
				want = []string{"first", "theirs", "behind"}
			}
			tail := make(chan []string, 1)
			go func() {
				var got []string
				for from := int64(0); len(got) < len(want); {
					rs, err := l.Read(ctx(t), at, from, eventlog.ReadOptions{})
					if err != nil {
						t.Errorf("Read(%d) = %v", from, err)
						break
					}
					for _, r := range rs {
						got, from = append(got, string(r.Value)), r.Offset+1
					}
				}
				tail <- got
			}()
			mustAppend(t, l, rec(topic, 0, "first"))
			p := foreign(t, brokers, kgo.TransactionalID("x-"+topic))
			if err := p.BeginTransaction(); err != nil {
				t.Fatalf("BeginTransaction() = %v", err)
			}
			if err := p.ProduceSync(ctx(t), &kgo.Record{Topic: topic, Value: []byte("theirs")}).FirstErr(); err != nil {
				t.Fatalf("ProduceSync() = %v", err)
			}
			mustAppend(t, l, rec(topic, 0, "behind"))

			short, cancel := context.WithTimeout(ctx(t), 100*time.Millisecond)
			defer cancel()
			_, err := l.Read(short, at, 1, eventlog.ReadOptions{NoWait: true})
			wantKind(t, "Read(NoWait, while a transaction is open)", err, fault.Timeout)

			found := make(chan []string, 1)
			go func() { found <- valuesOf(t, l, at) }()
			if err := p.EndTransaction(ctx(t), commit); err != nil {
				t.Fatalf("EndTransaction() = %v", err)
			}
			if got := <-found; !slices.Equal(got, want) {
				t.Errorf("values = %q, want %q", got, want)
			}
			if got := <-tail; !slices.Equal(got, want) {
				t.Errorf("values at the tail = %q, want %q", got, want)
			}
			b, err := l.Bounds(ctx(t), at)
			if err != nil {
				t.Fatalf("Bounds() = %v", err)
			}
			// Nothing but gaps is left, and that is no reason to wait.
			if rs, err := l.Read(ctx(t), at, b.End-1, eventlog.ReadOptions{NoWait: true}); err != nil || len(rs) > 0 && commit {
				t.Errorf("Read(the gap at the end) = %v, %v, want nothing", rs, err)
			}
		})
	}
}

// Another node changes topics under this one's readers.
func TestAnotherNodeChangesTopics(t *testing.T) {
	t.Parallel()
	brokers := need.Kafka(t)
	here := open(t, node(brokers, "here-"+event.NewID()).With(kafka.Hooks{WatchEvery: 200 * time.Millisecond}))
	there := open(t, node(brokers, "there-"+event.NewID()))
	topic := newTopic(t, here, eventlog.Topic{Partitions: 1})
	mustAppend(t, here, rec(topic, 0, "v"))
	blocked := make(chan error, 1)
	go func() {
		_, err := here.Read(ctx(t), eventlog.Partition{Topic: topic}, 1, eventlog.ReadOptions{})
		blocked <- err
	}()
	if err := there.AlterTopic(ctx(t), topic, eventlog.TopicChange{Partitions: ptr[int32](2)}); err != nil {
		t.Fatalf("AlterTopic() = %v", err)
	}
	mustAppend(t, here, rec(topic, 1, "on a partition that was added"))

	if err := there.DeleteTopic(ctx(t), topic); err != nil {
		t.Fatalf("DeleteTopic() = %v", err)
	}
	wantKind(t, "Read(deleted while it waits)", <-blocked, fault.NotFound)
	_, err := here.Append(ctx(t), []eventlog.Record{rec(topic, 0, "v")})
	wantKind(t, "Append(deleted)", err, fault.NotFound)
	_, err = here.Append(ctx(t), []eventlog.Record{rec(topic, 0, "v"), rec(topic, 1, "v")})
	wantKind(t, "Append(deleted, over two partitions)", err, fault.NotFound)
	_, err = here.Read(ctx(t), eventlog.Partition{Topic: topic}, 0, eventlog.ReadOptions{})
	wantKind(t, "Read(deleted)", err, fault.NotFound)
}

// A record that is too large is refused before anything is sent, by name and size.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	l := open(t, node(need.Kafka(t), "n-"+event.NewID()))
	topic := newTopic(t, l, eventlog.Topic{Partitions: 2})
	large := eventlog.Record{Topic: topic, Value: make([]byte, 100<<20)}
	_, err := l.Append(ctx(t), []eventlog.Record{rec(topic, 1, "good"), large})
	wantKind(t, "Append(100 MiB)", err, fault.TooLarge)
	if b, err := l.Bounds(ctx(t), eventlog.Partition{Topic: topic, ID: 1}); err != nil || b.End != 0 {
		t.Errorf("Bounds() = %+v, %v after a refused call, want empty", b, err)
	}
	// Records of many batches, in one call.
	var many []eventlog.Record
	for i := range 7 {
		many = append(many, eventlog.Record{Topic: topic, Partition: int32(i % 2), Value: make([]byte, 3<<20)})
	}
	mustAppend(t, l, many...)
	if got := valuesOf(t, l, eventlog.Partition{Topic: topic}); len(got) != 4 || len(got[3]) != 3<<20 {
		t.Errorf("%d large values, want 4", len(got))
	}
}

// Retention passes a reader: what is left comes next, for who is behind and for who waits at the tail.
func TestRetentionPassesReaders(t *testing.T) {
	t.Parallel()
	brokers := need.Kafka(t)
	l := open(t, node(brokers, "n-"+event.NewID()))
	topic := newTopic(t, l, eventlog.Topic{Partitions: 1})
	at := eventlog.Partition{Topic: topic}
	for _, v := range []string{"a", "b", "c", "d"} {
		mustAppend(t, l, rec(topic, 0, v))
	}
	admin := kadm.NewClient(foreign(t, brokers))
	if _, err := admin.DeleteRecords(ctx(t), kadm.Offsets{topic: {0: {Topic: topic, At: 2}}}); err != nil {
		t.Fatalf("DeleteRecords() = %v", err)
	}
	rs, err := l.Read(ctx(t), at, 0, eventlog.ReadOptions{})
	if err != nil || len(rs) != 2 || rs[0].Offset != 2 {
		t.Errorf("Read(0) = %v, %v, want what is left from 2 on", rs, err)
	}
	if b, err := l.Bounds(ctx(t), at); err != nil || b != (eventlog.Bounds{Start: 2, End: 4}) {
		t.Errorf("Bounds() = %+v, %v, want 2 to 4", b, err)
	}
	tail := make(chan eventlog.Record, 1)
	go func() {
		rs, err := l.Read(ctx(t), at, 4, eventlog.ReadOptions{})
		if err != nil || len(rs) == 0 {
			t.Errorf("Read(4) = %v, %v", rs, err)
			close(tail)
			return
		}
		tail <- rs[0]
	}()
	if _, err := admin.DeleteRecords(ctx(t), kadm.Offsets{topic: {0: {Topic: topic, At: -1}}}); err != nil {
		t.Fatalf("DeleteRecords() = %v", err)
	}
	if got := valuesOf(t, l, at); len(got) != 0 {
		t.Errorf("values = %q after all was removed, want none", got)
	}
	ps := mustAppend(t, l, rec(topic, 0, "e"))
	if got := <-tail; string(got.Value) != "e" || got.Offset != ps[0].Offset || got.Offset != 4 {
		t.Errorf("the reader at the tail got %v, want e at 4", got)
	}
}

// What a topic is made with is what Kafka keeps it by.
func TestTopicConfiguration(t *testing.T) {
	t.Parallel()
	brokers := need.Kafka(t)
	l := open(t, node(brokers, "n-"+event.NewID()))
	admin := kadm.NewClient(foreign(t, brokers))
	for _, c := range []struct {
		settings eventlog.Topic
		want     map[string]string
	}{
		{eventlog.Topic{Partitions: 4, Retention: time.Hour, MaxBytes: 4000}, map[string]string{
			"cleanup.policy": "delete", "retention.ms": "3600000", "retention.bytes": "1000", "message.timestamp.type": "CreateTime",
			"min.insync.replicas": "1", "max.message.bytes": "8454144",
		}},
		{eventlog.Topic{Partitions: 1, Retention: eventlog.Forever, MaxBytes: eventlog.Forever}, map[string]string{
			"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1",
		}},
		{eventlog.Topic{Partitions: 1, Compact: true}, map[string]string{
			"cleanup.policy": "compact", "delete.retention.ms": "86400000", "max.compaction.lag.ms": "72000000",
		}},
		{eventlog.Topic{Partitions: 1, Compact: true, Retention: time.Hour}, map[string]string{
			"cleanup.policy": "compact,delete", "retention.ms": "3600000", "retention.bytes": "-1",
		}},
	} {
		topic := newTopic(t, l, c.settings)
		got, err := admin.DescribeTopicConfigs(ctx(t), topic)
		if err != nil {
			t.Fatalf("DescribeTopicConfigs() = %v", err)
		}
		for _, e := range got[0].Configs {
			if want, ok := c.want[e.Key]; ok && e.MaybeValue() != want {
				t.Errorf("topic of %+v has %s = %s, want %s", c.settings, e.Key, e.MaybeValue(), want)
			}
		}
	}
}
