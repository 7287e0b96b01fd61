package kafka_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/kafka"
	"github.com/dalamb/dalamb/internal/need"
)

// owner is a member that knows what it owns.
type owner struct {
	eventlog.Member
	revoking func(ps []eventlog.Partition) // while they are still its own; nil = nothing
	assigned func(ps []eventlog.Partition) // nil = nothing

	mu      sync.Mutex
	owned   map[eventlog.Partition]bool
	changed chan struct{}
}

func join(t testing.TB, l *kafka.Log, group string, o *owner, topics ...string) *owner {
	t.Helper()
	o.owned, o.changed = make(map[eventlog.Partition]bool), make(chan struct{})
	set := func(ps []eventlog.Partition, owns bool) {
		o.mu.Lock()
		defer o.mu.Unlock()
		for _, p := range ps {
			if owns {
				o.owned[p] = true
			} else {
				delete(o.owned, p)
			}
		}
		close(o.changed)
		o.changed = make(chan struct{})
	}
	m, err := l.Join(ctx(t), eventlog.JoinOptions{
		Group: group,
		Assigned: func(_ context.Context, ps []eventlog.Partition) {
			if o.assigned != nil {
				o.assigned(ps)
			}
			set(ps, true)
		},
		Revoked: func(_ context.Context, ps []eventlog.Partition) {
			if o.revoking != nil {
				o.revoking(ps)
			}
			set(ps, false)
		},
		Lost: func(ps []eventlog.Partition) { set(ps, false) },
	})
	if err != nil {
		t.Fatalf("Join(%s) = %v", group, err)
	}
	o.Member = m
	if err := m.SetTopics(ctx(t), topics); err != nil {
		t.Fatalf("SetTopics(%v) = %v", topics, err)
	}
	return o
}

// await waits until the member owns as many partitions as it is to.
func (o *owner) await(t testing.TB, n int) []eventlog.Partition {
	t.Helper()
	done := ctx(t).Done()
	for {
		o.mu.Lock()
		var ps []eventlog.Partition
		for p := range o.owned {
			ps = append(ps, p)
		}
		changed := o.changed
		o.mu.Unlock()
		if len(ps) == n {
			eventlog.SortPartitions(ps)
			return ps
		}
		select {
		case <-changed:
		case <-done:
			t.Fatalf("the member owns %v after %s, want %d", ps, patience, n)
		}
	}
}

func (o *owner) commit(t testing.TB, p eventlog.Partition, value string) error {
	t.Helper()
	_, err := o.Commit(ctx(t), eventlog.Txn{Records: []eventlog.Record{rec(p.Topic, p.ID, value)}, Claims: []eventlog.Partition{p}})
	return err
}

func TestNodesShareOutPartitions(t *testing.T) {
	t.Parallel()
	brokers, group := need.Kafka(t), "g-"+event.NewID()
	one := open(t, node(brokers, "one-"+group))
	topic := newTopic(t, one, eventlog.Topic{Partitions: 4})
	first := join(t, one, group, &owner{}, topic)
	first.await(t, 4)

	// What goes to another is handed over: a commit on it while it goes is stored.
	var handed []eventlog.Partition
	first.revoking = func(ps []eventlog.Partition) {
		for _, p := range ps {
			if err := first.commit(t, p, "last words"); err != nil {
				t.Errorf("Commit(%v, while it is handed over) = %v", p, err)
			}
		}
		handed = append(handed, ps...)
	}
	two := open(t, node(brokers, "two-"+group))
	var found []string
	second := join(t, two, group, &owner{assigned: func(ps []eventlog.Partition) {
		for _, p := range ps {
			found = append(found, valuesOf(t, two, p)...)
		}
	}}, topic)
	got := second.await(t, 2)
	kept := first.await(t, 2)
	if slices.Sort(found); !slices.Equal(found, []string{"last words", "last words"}) {
		t.Errorf("the new owner found %q when it was assigned, want the last words of the old one on both", found)
	}
	eventlog.SortPartitions(handed)
	if !slices.Equal(handed, got) {
		t.Errorf("handed over %v, assigned %v, want the same", handed, got)
	}

	// The generation has changed, and who still owns what it claims goes on.
	if err := first.commit(t, kept[0], "still mine"); err != nil {
		t.Errorf("Commit(kept) = %v", err)
	}
	if err := first.commit(t, got[0], "not mine"); !errors.Is(err, eventlog.ErrFenced) {
		t.Errorf("Commit(handed over) = %v, want ErrFenced", err)
	}

	// Partitions that another node adds are shared out too.
	if err := two.AlterTopic(ctx(t), topic, eventlog.TopicChange{Partitions: ptr[int32](6)}); err != nil {
		t.Fatalf("AlterTopic() = %v", err)
	}
	first.await(t, 3)
	second.await(t, 3)

	// Who leaves leaves all to the other, at once.
	first.revoking = nil
	if err := first.Leave(ctx(t)); err != nil {
		t.Fatalf("Leave() = %v", err)
	}
	second.await(t, 6)
}

func ptr[T any](v T) *T { return &v }

// Commits go on while the group is shared out again and again: none is lost, none is stored twice, and none is fenced whose
// claim is still good.
func TestCommitsThroughRebalances(t *testing.T) {
	t.Parallel()
	brokers, group := need.Kafka(t), "g-"+event.NewID()
	l := open(t, node(brokers, "steady-"+group))
	topic := newTopic(t, l, eventlog.Topic{Partitions: 2})
	steady := join(t, l, group, &owner{}, topic)
	mine := steady.await(t, 2)
	stop, stopped := make(chan struct{}), make(chan struct{})
	var stored []string
	go func() {
		defer close(stopped)
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			value := event.NewID()
			switch err := steady.commit(t, mine[n%2], value); {
			case err == nil:
				stored = append(stored, value)
			case !errors.Is(err, eventlog.ErrFenced):
				t.Errorf("Commit() = %v", err)
				return
			}
		}
	}()
	other := open(t, node(brokers, "other-"+group))
	for range 5 {
		m := join(t, other, group, &owner{}, topic)
		m.await(t, 1)
		steady.await(t, 1)
		if err := m.Leave(ctx(t)); err != nil {
			t.Fatalf("Leave() = %v", err)
		}
		steady.await(t, 2)
	}
	close(stop)
	<-stopped
	found := append(valuesOf(t, l, mine[0]), valuesOf(t, l, mine[1])...)
	slices.Sort(found)
	slices.Sort(stored)
	if !slices.Equal(found, stored) {
		t.Errorf("%d values are in the log, %d commits were acknowledged, want the same", len(found), len(stored))
	}
	if len(stored) < 20 {
		t.Errorf("%d commits were stored while the group was shared out ten times, want more", len(stored))
	}
}

// A node is frozen after its transaction has moved the ownership group's positions and before it has ended. Its session runs
// out, and its partition goes to another node, which must not begin before that transaction has ended, one way or the other.
func TestNewOwnerWaitsForAnOpenTransactionOfTheOldOne(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		timeout time.Duration // of the frozen node's transactions
		thaw    bool          // before that
		want    []string
	}{
		{"it thaws and commits", 30 * time.Second, true, []string{"before", "late"}},
		{"it stays frozen", 3 * time.Second, false, []string{"before"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			brokers, group := need.Kafka(t), "g-"+event.NewID()
			var (
				net    network
				armed  = make(chan struct{}, 1)
				frozen = make(chan struct{})
			)
			o := node(brokers, "old-"+group)
			o.TransactionTimeout = c.timeout
			old := open(t, o.With(kafka.Hooks{Dial: net.dial, BeforeEnd: func() {
				select {
				case <-armed:
					net.freeze()
					close(frozen)
				default:
				}
			}}))
			topic := newTopic(t, old, eventlog.Topic{Partitions: 1})
			p := eventlog.Partition{Topic: topic}
			first := join(t, old, group, &owner{}, topic)
			first.await(t, 1)
			if err := first.commit(t, p, "before"); err != nil {
				t.Fatalf("Commit() = %v", err)
			}
			armed <- struct{}{}
			late := make(chan error, 1)
			go func() { late <- first.commit(t, p, "late") }()
			<-frozen

			waits, once := make(chan struct{}), sync.Once{}
			next := open(t, node(brokers, "next-"+group).With(kafka.Hooks{Unstable: func() { once.Do(func() { close(waits) }) }}))
			found := make(chan []string, 1)
			second := join(t, next, group, &owner{assigned: func(ps []eventlog.Partition) { found <- valuesOf(t, next, ps[0]) }}, topic)
			select {
			case <-waits:
			case got := <-found:
				net.thaw()
				t.Fatalf("the new owner was assigned its partition while the old one's transaction was open; it found %q", got)
			}
			if c.thaw {
				net.thaw()
			}
			if got := <-found; !slices.Equal(got, c.want) {
				t.Errorf("the new owner found %q, want %q", got, c.want)
			}
			second.await(t, 1)
			if !c.thaw {
				net.thaw()
			}
			if err := <-late; (err == nil) != c.thaw {
				t.Errorf("Commit(frozen) = %v, want it stored: %v", err, c.thaw)
			}
			if err := first.commit(t, p, "too late"); !errors.Is(err, eventlog.ErrFenced) {
				t.Errorf("Commit(thawed) = %v, want ErrFenced", err)
			}
			if err := second.commit(t, p, "next"); err != nil {
				t.Errorf("Commit(new owner) = %v", err)
			}
			if got := valuesOf(t, next, p); !slices.Equal(got, append(c.want, "next")) {
				t.Errorf("the log holds %q, want %q and next", got, c.want)
			}
		})
	}
}

// A node dies in the middle of a transaction. When it starts again it ends at once what it has left open, so that readers do not
// wait for Kafka to time it out.
func TestRestartedNodeEndsWhatItsPredecessorLeftOpen(t *testing.T) {
	t.Parallel()
	brokers, name := need.Kafka(t), "n-"+event.NewID()
	var net network
	dead, once := make(chan struct{}), sync.Once{}
	o := node(brokers, name)
	o.TransactionTimeout = 5 * time.Minute
	before := mustOpen(t, o.With(kafka.Hooks{Dial: net.dial, BeforeEnd: func() {
		once.Do(func() {
			net.freeze()
			close(dead)
		})
	}}))
	other := open(t, node(brokers, "other-"+name))
	topic := newTopic(t, other, eventlog.Topic{Partitions: 2})
	appended := make(chan error, 1)
	go func() {
		_, err := before.Append(ctx(t), []eventlog.Record{rec(topic, 0, "half"), rec(topic, 1, "half")})
		appended <- err
	}()
	<-dead
	mustAppend(t, other, rec(topic, 0, "behind"))

	again := open(t, o)
	if got := valuesOf(t, other, eventlog.Partition{Topic: topic}); !slices.Equal(got, []string{"behind"}) {
		t.Errorf("values = %q, want what came behind the open transaction and nothing of it", got)
	}
	mustAppend(t, again, rec(topic, 0, "new"), rec(topic, 1, "new"))
	// The predecessor is not quite dead. Its transaction is not ended a second time.
	net.thaw()
	if err := <-appended; err == nil {
		t.Error("Append(fenced) = nil, want an error")
	}
	if err := before.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
	if got := valuesOf(t, other, eventlog.Partition{Topic: topic, ID: 1}); !slices.Equal(got, []string{"new"}) {
		t.Errorf("values = %q, want new alone", got)
	}
}
