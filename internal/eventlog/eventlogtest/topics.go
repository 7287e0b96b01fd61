package eventlogtest

import (
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

func topicNamed(t testing.TB, l eventlog.Log, name string) eventlog.Topic {
	t.Helper()
	all, err := l.Topics(ctx(t))
	if err != nil {
		t.Fatalf("Topics() = %v", err)
	}
	for _, topic := range all {
		if topic.Name == name {
			return topic
		}
	}
	t.Fatalf("Topics() = %v, want %s among them", all, name)
	return eventlog.Topic{}
}

func testTopics(t *testing.T, f Factory) {
	l := open(t, f)
	create(t, l, eventlog.Topic{Name: "b"})
	create(t, l, eventlog.Topic{Name: "a", Partitions: 3, Retention: time.Hour, MaxBytes: 1 << 20, Compact: true})
	all, err := l.Topics(ctx(t))
	if err != nil || len(all) != 2 || all[0].Name != "a" || all[1].Name != "b" {
		t.Fatalf("Topics() = %v, %v, want a and b in this order", all, err)
	}
	a, b := all[0], all[1]
	if a.ID == "" || a.ID == b.ID {
		t.Errorf("ids = %q and %q, want two different ones", a.ID, b.ID)
	}
	a.ID = ""
	if short := 1<<20 - a.MaxBytes; 0 <= short && short < int64(a.Partitions) {
		a.MaxBytes = 1 << 20
	}
	if want := (eventlog.Topic{Name: "a", Partitions: 3, Retention: time.Hour, MaxBytes: 1 << 20, Compact: true}); a != want {
		t.Errorf("topic = %+v, want %+v", a, want)
	}
	if b.Partitions != 8 || b.Retention != 30*24*time.Hour || b.MaxBytes != 10<<30 {
		t.Errorf("defaults = %+v, want 8 partitions, 30 days, 10 GiB", b)
	}
	wantKind(t, "CreateTopic(again)", l.CreateTopic(ctx(t), eventlog.Topic{Name: "a"}), fault.Conflict)
}

func testTopicSettings(t *testing.T, f Factory) {
	l := open(t, f)
	for _, bad := range []eventlog.Topic{
		{Name: ""}, {Name: ".."}, {Name: "a/b"}, {Name: "é"},
		{Name: "x", Partitions: -1}, {Name: "x", Retention: -2}, {Name: "x", MaxBytes: -2},
	} {
		wantKind(t, "CreateTopic("+bad.Name+")", l.CreateTopic(ctx(t), bad), fault.Invalid)
	}
	create(t, l, eventlog.Topic{Name: "x", Partitions: 2})
	id := topicNamed(t, l, "x").ID
	wantKind(t, "AlterTopic(missing)", l.AlterTopic(ctx(t), "missing", eventlog.TopicChange{}), fault.NotFound)
	wantKind(t, "AlterTopic(shrink)", l.AlterTopic(ctx(t), "x", eventlog.TopicChange{Partitions: ptr[int32](1)}), fault.Invalid)
	wantKind(t, "AlterTopic(retention)", l.AlterTopic(ctx(t), "x", eventlog.TopicChange{Retention: ptr(time.Duration(-7))}), fault.Invalid)

	_, err := l.Append(ctx(t), []eventlog.Record{rec("x", 3, "v")})
	wantKind(t, "Append(partition 3 of 2)", err, fault.NotFound)
	change := eventlog.TopicChange{Partitions: ptr[int32](4), Retention: ptr(time.Duration(eventlog.Forever))}
	if err := l.AlterTopic(ctx(t), "x", change); err != nil {
		t.Fatalf("AlterTopic(grow) = %v", err)
	}
	appendAll(t, l, rec("x", 3, "v"))
	got := topicNamed(t, l, "x")
	if got.Partitions != 4 || got.Retention != eventlog.Forever || got.MaxBytes != 10<<30 || got.ID != id {
		t.Errorf("altered topic = %+v, want 4 partitions, for ever, the rest as before", got)
	}
}

// testTopicMadeAgain deletes a topic and makes another of its name, both as fast as may be: who went on with the old one must be told.
func testTopicMadeAgain(t *testing.T, f Factory) {
	l := open(t, f)
	x := part("x", 0)
	again := func() string {
		t.Helper()
		create(t, l, eventlog.Topic{Name: "x", Partitions: 1})
		return topicNamed(t, l, "x").ID
	}
	old := again()
	m := join(t, l, "g", "x")
	m.want(t, "assigned", x)
	for range 3 {
		appendAll(t, l, rec("x", 0, "of the old one"))
		rs, err := l.Read(ctx(t), x, 0, eventlog.ReadOptions{TopicID: old})
		if err != nil {
			t.Fatalf("Read(of the topic that is there) = %v", err)
		}
		wantValues(t, rs, "of the old one")
		blocked := make(chan error, 1)
		go func() {
			_, err := l.Read(ctx(t), x, 1, eventlog.ReadOptions{TopicID: old})
			blocked <- err
		}()
		if err := l.DeleteTopic(ctx(t), "x"); err != nil {
			t.Fatalf("DeleteTopic() = %v", err)
		}
		now := again()
		appendAll(t, l, rec("x", 0, "0"), rec("x", 0, "1"))
		wantKind(t, "Read(while it is made again)", <-blocked, fault.NotFound)
		for _, o := range []eventlog.ReadOptions{{TopicID: old}, {TopicID: old, NoWait: true}} {
			_, err = l.Read(ctx(t), x, 1, o)
			wantKind(t, "Read(of the topic that was there)", err, fault.NotFound)
		}
		rs, err = l.Read(ctx(t), x, 1, eventlog.ReadOptions{TopicID: now})
		if err != nil {
			t.Fatalf("Read(of the topic made again) = %v", err)
		}
		wantValues(t, rs, "1")
		wantValues(t, readAll(t, l, x, 0), "0", "1")
		m.want(t, "lost", x)
		m.want(t, "assigned", x)
		if _, err := m.Commit(ctx(t), eventlog.Txn{Records: []eventlog.Record{rec("x", 0, "2")}, Claims: []eventlog.Partition{x}}); err != nil {
			t.Fatalf("Commit(owner of the topic made again) = %v", err)
		}
		wantValues(t, readAll(t, l, x, 0), "0", "1", "2")
		if err := l.DeleteTopic(ctx(t), "x"); err != nil {
			t.Fatalf("DeleteTopic() = %v", err)
		}
		old = again()
		m.want(t, "lost", x)
		m.want(t, "assigned", x)
	}
}

func testDeleteTopic(t *testing.T, f Factory) {
	l := open(t, f)
	wantKind(t, "DeleteTopic(missing)", l.DeleteTopic(ctx(t), "x"), fault.NotFound)
	create(t, l, eventlog.Topic{Name: "x", Partitions: 1})
	create(t, l, eventlog.Topic{Name: "y", Partitions: 1})
	id := topicNamed(t, l, "x").ID
	appendAll(t, l, rec("x", 0, "old"), rec("y", 0, "stays"))
	offsets := []eventlog.GroupOffset{{Partition: part("x", 0), Offset: 1}, {Partition: part("y", 0), Offset: 1}}
	if err := l.CommitOffsets(ctx(t), "g", offsets); err != nil {
		t.Fatalf("CommitOffsets() = %v", err)
	}

	blocked := make(chan error, 1)
	go func() {
		_, err := l.Read(ctx(t), part("x", 0), 1, eventlog.ReadOptions{})
		blocked <- err
	}()
	if err := l.DeleteTopic(ctx(t), "x"); err != nil {
		t.Fatalf("DeleteTopic() = %v", err)
	}
	wantKind(t, "Read(while it is deleted)", <-blocked, fault.NotFound)
	_, err := l.Read(ctx(t), part("x", 0), 0, eventlog.ReadOptions{})
	wantKind(t, "Read(deleted)", err, fault.NotFound)
	_, err = l.Append(ctx(t), []eventlog.Record{rec("y", 0, "not stored"), rec("x", 0, "v")})
	wantKind(t, "Append(deleted)", err, fault.NotFound)
	_, err = l.Bounds(ctx(t), part("x", 0))
	wantKind(t, "Bounds(deleted)", err, fault.NotFound)
	_, err = l.OffsetAt(ctx(t), part("x", 0), time.Now())
	wantKind(t, "OffsetAt(deleted)", err, fault.NotFound)
	if got, err := l.Offsets(ctx(t), "g"); err != nil || len(got) != 1 || got[0].Partition != part("y", 0) {
		t.Errorf("Offsets() = %v, %v, want those of y alone", got, err)
	}

	create(t, l, eventlog.Topic{Name: "x", Partitions: 1})
	if again := topicNamed(t, l, "x").ID; again == id {
		t.Errorf("id of the topic made again = %q, want another", again)
	}
	appendAll(t, l, rec("x", 0, "new"))
	wantValues(t, readAll(t, l, part("x", 0), 0), "new")
	wantValues(t, readAll(t, l, part("y", 0), 0), "stays")
}
