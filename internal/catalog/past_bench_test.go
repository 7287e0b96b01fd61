package catalog

import (
	"fmt"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// BenchmarkPast asks for the platform as it was among 100,000 control events of 200 functions: for the first time, and again.
func BenchmarkPast(b *testing.B) {
	log := newLog(b)
	last := map[string]int64{}
	var records []eventlog.Record
	for i := range int64(100_000) {
		fn := fmt.Sprintf("f%d", i%200)
		expects, seen := last[fn]
		p, typ := payload{Function: fn, Expects: expects, Trigger: "a"}, event.TypeTriggerPaused
		if !seen {
			v := version(fn, on("a", "events", "x"))
			v.Number = 1
			p.Expects, p.Version, p.Alias, typ = -1, &v, &function.Alias{Name: function.LiveAlias, Primary: 1}, event.TypeFunctionDeployed
		}
		last[fn] = i
		e, err := p.event(typ)
		if err != nil {
			b.Fatal(err)
		}
		e.Time = time.Now()
		if records = append(records, eventlog.FromEvent(control.Topic, e)); len(records) == 1000 {
			if _, err := log.Append(b.Context(), records); err != nil {
				b.Fatal(err)
			}
			records = nil
		}
	}
	ask := func(b *testing.B, p *Pasts, q PastQuery) {
		if _, err := p.At(b.Context(), q); err != nil {
			b.Fatal(err)
		}
	}
	now := PastQuery{At: time.Now()}
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			ask(b, NewPasts(log), now)
		}
	})
	kept := NewPasts(log)
	ask(b, kept, now)
	b.Run("again", func(b *testing.B) {
		for b.Loop() {
			ask(b, kept, now)
		}
	})
	now.Max, now.Want = 100, func(*Step) bool { return true }
	b.Run("changes", func(b *testing.B) {
		for b.Loop() {
			ask(b, kept, now)
		}
	})
}
