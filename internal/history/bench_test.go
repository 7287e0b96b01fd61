package history

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// BenchmarkFold folds runs of one attempt, a thousand at a time, as a node that is busy does. Beside it stands what decoding the
// same records alone costs.
func BenchmarkFold(b *testing.B) {
	const batch = 1000
	records := func(round int) []eventlog.Record {
		rs := make([]eventlog.Record, batch)
		for i := range rs {
			id := fmt.Sprintf("run-%d-%d", round, i)
			run := story(id, "pay", function.RunSucceeded, 1)
			data, err := json.Marshal(run)
			if err != nil {
				b.Fatal(err)
			}
			rs[i] = eventlog.FromEvent(function.TopicRuns, &event.Event{
				ID: id, Source: "/test", Type: event.TypeRunFinished, Subject: id, DataContentType: "application/json", Data: data,
			})
			rs[i].Offset, rs[i].Time = int64(round*batch+i), start.Add(time.Duration(round*batch+i)*time.Millisecond)
		}
		return rs
	}
	b.Run("fold", func(b *testing.B) {
		db, err := openIndex(b.TempDir(), slog.New(slog.DiscardHandler))
		if err != nil {
			b.Fatal(err)
		}
		defer db.Close()
		h := &History{db: db, now: time.Now, next: map[eventlog.Partition]int64{}, changed: make(chan struct{}), tally: newTally(time.Now())}
		f := &fold{history: h, table: runsTable(), partition: eventlog.Partition{Topic: function.TopicRuns}}
		for round := 0; b.Loop(); round++ {
			b.StopTimer()
			rs := records(round)
			b.StartTimer()
			if err := f.apply(rs); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)*batch/b.Elapsed().Seconds(), "runs/s")
	})
	b.Run("decode", func(b *testing.B) {
		rs := records(0)
		for b.Loop() {
			for _, r := range rs {
				e, err := eventlog.ToEvent(r)
				if err != nil {
					b.Fatal(err)
				}
				var run function.Run
				if err := json.Unmarshal(e.Data, &run); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.ReportMetric(float64(b.N)*batch/b.Elapsed().Seconds(), "runs/s")
	})
}

// BenchmarkLook looks for a run that there is not, which goes through the names of a million runs in batches of a hundred.
func BenchmarkLook(b *testing.B) {
	db, err := openIndex(b.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	h := &History{db: db, now: time.Now, next: map[eventlog.Partition]int64{}, changed: make(chan struct{}), tally: newTally(time.Now())}
	batch, t := db.NewBatch(), runsTable()
	for i := range 10_000 {
		var names manyNames
		names.Others = make([]manyName, 99)
		for j := range names.Others {
			names.Others[j].ID, names.Others[j].Event.ID = fmt.Sprint("run-", i, j), fmt.Sprint("event-", i, j)
		}
		if err := t.put(batch, fmt.Sprint(manyMark, i), row{at: start.Add(time.Duration(i) * time.Millisecond)}, names.terms()); err != nil {
			b.Fatal(err)
		}
	}
	if err := batch.Commit(pebble.NoSync); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := h.RunByID("another"); fault.KindOf(err) != fault.NotFound {
			b.Fatal(err)
		}
	}
}
