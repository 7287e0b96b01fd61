package copier

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/kafka"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/need"
)

// TestTwoOwnersCopyOnce lets two nodes believe that a copy is theirs, as after a freeze, and one of them be cut off again and again.
func TestTwoOwnersCopyOnce(t *testing.T) {
	brokers := strings.Split(need.Kafka(t), ",")
	w := newWorld(t)
	topic := "copied-" + event.NewID()
	open := func(node string) eventlog.Log {
		l, err := kafka.Open(kafka.Options{Brokers: brokers, Node: node + event.NewID()})
		ok(t, err)
		t.Cleanup(func() { ok(t, l.Close()) })
		return l
	}
	var sent [2][]string
	for i := range 6000 {
		sent[i%2] = append(sent[i%2], fmt.Sprint(i))
	}
	for id, values := range sent {
		var rs []eventlog.Record
		for _, v := range values {
			rs = append(rs, eventlog.Record{Topic: "orders", Partition: int32(id), Value: []byte(v)})
		}
		_, err := w.log.Append(t.Context(), rs)
		ok(t, err)
	}
	owner := func(node string) *Copier {
		c, err := New(Options{Log: w.log, Catalog: w.catalog, Logs: logs{kept{open(node)}}})
		ok(t, err)
		return c
	}
	a, b := owner("a-"), owner("b-")
	one, err := a.Start(t.Context(), function.Copy{Name: "one", From: "orders", To: topic, Log: elsewhere})
	ok(t, err)
	var all sync.WaitGroup
	ctx, done := context.WithCancel(t.Context())
	all.Go(func() { // cut off whenever it has got somewhere
		for n := int64(1); ctx.Err() == nil; n++ {
			cutOff(ctx, a, one, n*700)
		}
	})
	all.Go(func() {
		defer done()
		for {
			err := b.once(t.Context(), one)
			if err == nil {
				return
			}
			if !passing(err) {
				t.Errorf("once = %v", err)
				return
			}
		}
	})
	all.Wait()
	target := open("c-")
	for id := range sent {
		var got []string
		for from := int64(0); ; {
			rs, err := target.Read(t.Context(), eventlog.Partition{Topic: topic, ID: int32(id)}, from, eventlog.ReadOptions{NoWait: true})
			ok(t, err)
			if len(rs) == 0 {
				break
			}
			for _, r := range rs {
				got = append(got, string(r.Value))
			}
			from = rs[len(rs)-1].Offset + 1
		}
		if strings.Join(got, " ") != strings.Join(sent[id], " ") {
			t.Errorf("partition %d has %d records, want the %d in their order", id, len(got), len(sent[id]))
		}
	}
}

// cutOff carries a copy out until so much is copied.
func cutOff(ctx context.Context, c *Copier, one *catalog.Copy, copied int64) {
	ctx, cancel := context.WithCancel(ctx)
	var look sync.WaitGroup
	look.Go(func() {
		for ctx.Err() == nil {
			if s, err := c.State(ctx, one); err == nil && s.Copied >= copied {
				cancel()
			}
		}
	})
	if c.once(ctx, one) == nil {
		cancel()
	}
	cancel()
	look.Wait()
}

// kept is a log that is closed by its owner alone.
type kept struct{ eventlog.Log }

func (kept) Close() error { return nil }
