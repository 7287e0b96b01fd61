package kafka_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/eventlogtest"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/need/broker"
)

// A broker is killed in the middle of appends and commits, several times. What was acknowledged is there; what was not is there
// whole or not at all; nothing is there twice; every error says that the call may be tried again.
func TestBrokerKilledUnderLoad(t *testing.T) {
	t.Parallel()
	for _, brokers := range []int{1, 3} {
		t.Run(fmt.Sprint(brokers, " brokers"), func(t *testing.T) {
			c := need.KafkaCluster(t, broker.Options{Brokers: brokers})
			o := node(c.Bootstrap(), "n-"+event.NewID())
			o.SessionTimeout = 5 * time.Second
			l := open(t, o)
			const partitions = 3
			topic := newTopic(t, l, eventlog.Topic{Partitions: partitions})
			claimed := newTopic(t, l, eventlog.Topic{Partitions: 1})
			m := join(t, l, "g", &owner{}, claimed)
			m.await(t, 1)

			h := eventlogtest.NewHistory(topic, partitions)
			stop := make(chan struct{})
			var writers sync.WaitGroup
			var counts counts
			store := map[bool]func([]eventlog.Record) ([]eventlog.Position, error){
				false: func(rs []eventlog.Record) ([]eventlog.Position, error) { return l.Append(ctx(t), rs) },
				true: func(rs []eventlog.Record) ([]eventlog.Position, error) {
					return m.Commit(ctx(t), eventlog.Txn{Records: rs, Claims: []eventlog.Partition{{Topic: claimed}}})
				},
			}
			for w := range 8 {
				rng := rand.New(rand.NewPCG(uint64(w), 7))
				writers.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
						}
						call := h.Begin(fmt.Sprint(w), rng)
						ps, err := store[w%2 == 1](call.Records)
						h.End(call, ps, err)
						counts.add(err)
						if err != nil && !fault.Retryable(err) && !errors.Is(err, eventlog.ErrFenced) {
							t.Errorf("writer %d: %v of kind %q, want one that passes", w, err, fault.KindOf(err))
							return
						}
					}
				})
			}
			for round := range 3 - min(brokers, 2) {
				counts.await(t, 100)
				number := 1 + round%brokers
				if err := c.Kill(number); err != nil {
					t.Fatalf("Kill(%d) = %v", number, err)
				}
				if err := c.Restart(ctx(t), number); err != nil {
					t.Fatalf("Restart(%d) = %v", number, err)
				}
			}
			counts.await(t, 100)
			close(stop)
			writers.Wait()
			if err := h.Check(ctx(t), l); err != nil {
				t.Error(err)
			}
			t.Logf("%d calls stored, %d not known", counts.stored, counts.failed)
		})
	}
}

// counts counts calls.
type counts struct {
	mu             sync.Mutex
	stored, failed int
	more           chan struct{}
}

func (c *counts) add(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.failed++
		return
	}
	c.stored++
	if c.more != nil {
		close(c.more)
		c.more = nil
	}
}

// await waits until n more calls have been stored.
func (c *counts) await(t testing.TB, n int) {
	t.Helper()
	c.mu.Lock()
	until := c.stored + n
	c.mu.Unlock()
	done := ctx(t).Done()
	for {
		c.mu.Lock()
		if c.stored >= until {
			c.mu.Unlock()
			return
		}
		if c.more == nil {
			c.more = make(chan struct{})
		}
		more := c.more
		c.mu.Unlock()
		select {
		case <-more:
		case <-done:
			t.Fatalf("no %d calls were stored in %s", n, patience)
		}
	}
}

// Nothing listens where Kafka should be. The log opens, says so to whoever calls, and closes.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	o := node("127.0.0.1:1", "n")
	began := time.Now()
	l := open(t, o)
	for name, call := range map[string]func() error{
		"Topics":      func() error { _, err := l.Topics(ctx(t)); return err },
		"CreateTopic": func() error { return l.CreateTopic(ctx(t), eventlog.Topic{Name: "x"}) },
		"Append":      func() error { _, err := l.Append(ctx(t), []eventlog.Record{rec("x", 0, "v")}); return err },
		"Read": func() error {
			_, err := l.Read(ctx(t), eventlog.Partition{Topic: "x"}, 0, eventlog.ReadOptions{})
			return err
		},
		"Bounds": func() error { _, err := l.Bounds(ctx(t), eventlog.Partition{Topic: "x"}); return err },
		"CommitOffsets": func() error {
			return l.CommitOffsets(ctx(t), "g", []eventlog.GroupOffset{{Partition: eventlog.Partition{Topic: "x"}}})
		},
		"Groups": func() error { _, err := l.Groups(ctx(t)); return err },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := call()
			wantKind(t, name, err, fault.Unavailable)
			var f *fault.Error
			if !errors.As(err, &f) || fault.HintOf(err) == "" || !strings.Contains(err.Error(), "127.0.0.1:1") {
				t.Errorf("%s = %v with hint %q, want the address and what to do", name, err, fault.HintOf(err))
			}
			if took := time.Since(began); took > 30*time.Second {
				t.Errorf("%s took %s", name, took)
			}
		})
	}
}
