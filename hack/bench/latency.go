package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
	"github.com/dalamb/dalamb/internal/function"
)

// latencyRow: from the moment that an event is sent to the moment that a warm function has it, against what nobody can save: one
// synced append to raw Pebble. The function tells when it got the event, and its word is read from the log afterwards.
func latencyRow(ctx context.Context, b *bench) error {
	const turns, perTurn, warmUp = 12, 50, 20
	l, err := b.needLab(ctx)
	if err != nil {
		return err
	}
	db, err := pebble.Open(filepath.Join(b.dir, "raw"), disk.PebbleOptions())
	if err != nil {
		return fmt.Errorf("open raw pebble: %w", err)
	}
	defer db.Close()
	send := l.event("bench.seen")
	sent := make([]time.Time, 0, warmUp+turns*perTurn)
	raw := make([]float64, 0, cap(sent))
	for i := range cap(sent) {
		send.header["Ce-Id"] = []string{fmt.Sprint(i)}
		sent = append(sent, time.Now())
		if _, err := send.call(ctx); err != nil {
			return err
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil { // by now the run's own commit is over
			return err
		}
		begun := time.Now()
		if err := db.Set(fmt.Append(nil, i), payload(), pebble.Sync); err != nil {
			return fmt.Errorf("write to raw pebble: %w", err)
		}
		raw = append(raw, milliseconds(time.Since(begun)))
	}
	received, err := l.receipts(ctx, receiptQuery{Function: "web", Trigger: "seen", From: "earliest", N: len(sent)})
	if err != nil {
		return err
	}
	var all []float64
	s := make(series, 4)
	for turn := range turns {
		var took []float64
		from := warmUp + turn*perTurn
		for i := from; i < from+perTurn; i++ {
			took = append(took, milliseconds(received[i].Sub(sent[i])))
		}
		all = append(all, took...)
		mine, yardstick := took, raw[from:from+perTurn]
		for i, x := range []float64{quantile(mine, 0.5), quantile(yardstick, 0.5), quantile(mine, 0.99), quantile(yardstick, 0.99)} {
			s[i] = append(s[i], x)
		}
	}
	_, of, ratio := s.against(0, 1)
	b.add(line{
		Case: "event to http function, p50", Unit: "ms", Value: quantile(all, 0.5), Yardstick: "raw Pebble, one synced append", Of: of, Ratio: ratio,
		Target: valueAtMost(2),
	})
	_, _, ratio = s.against(2, 3)
	b.add(line{
		Case: "event to http function, p99", Unit: "ms", Value: quantile(all, 0.99), Yardstick: "raw Pebble, one synced append",
		Of: quantile(raw[warmUp:], 0.99), Ratio: ratio,
	})
	return nil
}

// receiptQuery says whose word is looked for: events with the ids First, First+1 and so on, N of them.
type receiptQuery struct {
	Function, Trigger string
	From              string // where to begin in the runs
	First, N          int
}

// receipts waits until the runs of the events are in the log and returns when the function had each.
func (n *node) receipts(ctx context.Context, rq receiptQuery) ([]time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	received := make([]time.Time, rq.N)
	found := 0
	q := client.EventQuery{
		Topic: function.TopicRuns, From: rq.From, Follow: true,
		Filter: fmt.Sprintf(`{"data":{"function":[%q],"trigger":[%q]}}`, rq.Function, rq.Trigger),
	}
	for at, err := range n.client.Events(ctx, q) {
		if err != nil {
			return nil, fmt.Errorf("%d of %d events reached the function: %w", found, rq.N, err)
		}
		var e struct {
			Data struct {
				function.Run
				Result struct{ Received int64 } `json:"result"`
			}
		}
		if err := json.Unmarshal(at.Event, &e); err != nil {
			return nil, fmt.Errorf("read a run: %w", err)
		}
		if e.Data.State != function.RunSucceeded {
			return nil, fmt.Errorf("the run of event %s is %s", e.Data.Event.ID, e.Data.State)
		}
		var i int
		if _, err := fmt.Sscan(e.Data.Event.ID, &i); err != nil {
			return nil, fmt.Errorf("event %s was not sent", e.Data.Event.ID)
		}
		if i -= rq.First; i < 0 {
			continue // of a turn before
		}
		if i >= rq.N || !received[i].IsZero() {
			return nil, fmt.Errorf("event %s was not sent, or came twice", e.Data.Event.ID)
		}
		received[i] = time.Unix(0, e.Data.Result.Received)
		if found++; found == rq.N {
			return received, nil
		}
	}
	return nil, errors.New("the stream of runs ended")
}
