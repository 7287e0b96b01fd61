package kafka_test

import (
	"context"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/kafka"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/need"
)

// TestATopicMadeAgainElsewhere has another node delete a topic and make one of its name, under a reader that waits at the end of the old
// one and a member that owns its partitions.
func TestATopicMadeAgainElsewhere(t *testing.T) {
	brokers := need.Kafka(t)
	l := open(t, node(brokers, "again-"+event.NewID()).With(kafka.Hooks{WatchEvery: 200 * time.Millisecond}))
	others := open(t, node(brokers, "others-"+event.NewID()))
	name := newTopic(t, others, eventlog.Topic{Partitions: 2})
	mustAppend(t, l, rec(name, 0, "old"), rec(name, 1, "old"))
	told := make(chan string, 100)
	tell := func(what string) func([]eventlog.Partition) {
		return func(ps []eventlog.Partition) {
			for range ps {
				told <- what
			}
		}
	}
	m, err := l.Join(ctx(t), eventlog.JoinOptions{
		Group:    "g-" + event.NewID(),
		Assigned: func(_ context.Context, ps []eventlog.Partition) { tell("assigned")(ps) },
		Revoked:  func(_ context.Context, ps []eventlog.Partition) { tell("revoked")(ps) },
		Lost:     tell("lost"),
	})
	if err != nil {
		t.Fatalf("Join() = %v", err)
	}
	if err := m.SetTopics(ctx(t), []string{name}); err != nil {
		t.Fatalf("SetTopics() = %v", err)
	}
	want := func(what string) {
		t.Helper()
		for range 2 {
			select {
			case got := <-told:
				if got != what {
					t.Fatalf("told %s, want %s", got, what)
				}
			case <-ctx(t).Done():
				t.Fatalf("not told %s in %s", what, patience)
			}
		}
	}
	want("assigned")
	for range 3 {
		id := topicID(t, others, name)
		b, err := l.Bounds(ctx(t), eventlog.Partition{Topic: name})
		if err != nil {
			t.Fatalf("Bounds() = %v", err)
		}
		blocked := make(chan error, 1)
		go func() {
			_, err := l.Read(ctx(t), eventlog.Partition{Topic: name}, b.End, eventlog.ReadOptions{TopicID: id})
			blocked <- err
		}()
		if err := others.DeleteTopic(ctx(t), name); err != nil {
			t.Fatalf("DeleteTopic() = %v", err)
		}
		if err := others.CreateTopic(ctx(t), eventlog.Topic{Name: name, Partitions: 2}); err != nil {
			t.Fatalf("CreateTopic() = %v", err)
		}
		mustAppend(t, others, rec(name, 0, "new"), rec(name, 0, "newer"))
		wantKind(t, "Read(while others make the topic again)", <-blocked, fault.NotFound)
		want("lost")
		want("assigned")
		if got := valuesOf(t, l, eventlog.Partition{Topic: name}); len(got) != 2 || got[0] != "new" {
			t.Fatalf("values = %q, want those of the new topic", got)
		}
		claims := []eventlog.Partition{{Topic: name}, {Topic: name, ID: 1}}
		if _, err := m.Commit(ctx(t), eventlog.Txn{Records: []eventlog.Record{rec(name, 1, "0")}, Claims: claims}); err != nil {
			t.Fatalf("Commit() = %v", err)
		}
	}
}

func topicID(t testing.TB, l *kafka.Log, name string) string {
	t.Helper()
	all, err := l.Topics(ctx(t))
	if err != nil {
		t.Fatalf("Topics() = %v", err)
	}
	for _, topic := range all {
		if topic.Name == name {
			return topic.ID
		}
	}
	t.Fatalf("Topics() does not list %s", name)
	return ""
}
