package delay

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
)

// BenchmarkTakingOver measures what a new owner of a partition does, for each event that waits there, and what it keeps in memory.
func BenchmarkTakingOver(b *testing.B) {
	w := newWorld(b, 1)
	n := max(b.N, 10_000)
	for done := 0; done < n; {
		var rs []eventlog.Record
		for len(rs) < 5000 && done < n {
			e := &event.Event{ID: fmt.Sprint(done), Source: "/t", Type: "order.due", Subject: fmt.Sprint(done), DataContentType: "application/json", Data: []byte(`{"order":"o-1","total":12}`)}
			_, r, err := w.delay.Record(context.Background(), "events", e, w.now.Add(time.Duration(done%1000)*time.Minute+time.Minute))
			if err != nil {
				b.Fatal(err)
			}
			rs = append(rs, r)
			done++
		}
		if _, err := w.log.Append(context.Background(), rs); err != nil {
			b.Fatal(err)
		}
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	b.ResetTimer()
	w.restart()
	b.StopTimer()
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(int64(after.HeapAlloc)-int64(before.HeapAlloc))/float64(n), "held-B/event")
	runtime.KeepAlive(w.keep)
}
