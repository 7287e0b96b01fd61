package alert

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// mostRead bounds one round, in records of one partition: a judgement waits for what was read, and is made when all is.
const mostRead = 50_000

// follow reads what the alerts measure. One goroutine owns it.
type follow struct {
	log     eventlog.Log
	watched []*watched
	next    map[eventlog.Partition]int64
	told    seen // attempts that more than one record tells of
}

// sources are the topics that tell of what a condition measures.
func sources(m function.AlertMeasure) []string {
	switch m {
	case function.AlertErrorRate, function.AlertP95, function.AlertInvocations:
		return []string{function.TopicRequests, function.TopicRuns}
	case function.AlertDeadLetters:
		return []string{function.TopicRuns}
	case function.AlertBreakersOpened:
		return []string{function.TopicEvents}
	case function.AlertLogLines:
		return []string{function.TopicLogs}
	}
	return nil // the lag is asked for
}

// newFollow reads from where the longest window begins.
func (k *Keeper) newFollow(ctx context.Context, all []*watched) (*follow, error) {
	f := &follow{log: k.o.Log, watched: all, next: map[eventlog.Partition]int64{}, told: newSeen()}
	longest := map[string]time.Duration{}
	for _, w := range all {
		for _, topic := range sources(w.condition.Measure) {
			longest[topic] = max(longest[topic], w.Span())
		}
	}
	topics, err := k.o.Log.Topics(ctx)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	for name, window := range longest {
		i := slices.IndexFunc(topics, func(t eventlog.Topic) bool { return t.Name == name })
		if i < 0 {
			return nil, errNoTopic(name)
		}
		for id := range topics[i].Partitions {
			p := eventlog.Partition{Topic: name, ID: id}
			if f.next[p], err = k.o.Log.OffsetAt(ctx, p, k.o.Now().Add(-window)); err != nil {
				return nil, fmt.Errorf("find a time in %s/%d: %w", name, id, err)
			}
		}
	}
	return f, nil
}

// read reads on. It is caught up when nothing is left.
func (f *follow) read(ctx context.Context) (caught bool, err error) {
	caught = true
	for p := range f.next {
		done, err := f.one(ctx, p)
		if err != nil {
			return false, err
		}
		caught = caught && done
	}
	return caught, nil
}

func (f *follow) one(ctx context.Context, p eventlog.Partition) (caught bool, err error) {
	for seen := 0; seen < mostRead; {
		rs, err := f.log.Read(ctx, p, f.next[p], eventlog.ReadOptions{NoWait: true})
		if err != nil {
			return false, fmt.Errorf("read %s/%d: %w", p.Topic, p.ID, err)
		}
		if len(rs) == 0 {
			return true, nil
		}
		for i := range rs {
			f.next[p] = rs[i].Offset + 1
			for _, s := range f.samples(&rs[i]) {
				for _, w := range f.watched {
					if w.wants(&s) {
						w.meter.add(s)
					}
				}
			}
		}
		seen += len(rs)
	}
	return false, nil
}

// samples are what a record tells.
func (f *follow) samples(r *eventlog.Record) []sample {
	e, err := eventlog.ToEvent(*r)
	if err != nil {
		return nil
	}
	s := sample{at: r.Time, kind: function.AlertInvocations, function: e.Subject}
	switch e.Type {
	case event.TypeRequestCompleted:
		return request(s, e.Data)
	case event.TypeRunFinished, event.TypeAttemptFailed:
		var run function.Run
		if json.Unmarshal(e.Data, &run) == nil {
			return f.run(s, &run)
		}
	case event.TypeBatchFinished:
		var b function.RunBatch
		if json.Unmarshal(e.Data, &b) == nil {
			return f.run(s, &b.Run)
		}
	case event.TypeBreakerOpened:
		s.kind = function.AlertBreakersOpened
		return []sample{s}
	case event.TypeLogWritten:
		s.kind, s.line = function.AlertLogLines, new(function.LogLine)
		if json.Unmarshal(e.Data, s.line) == nil {
			s.function = s.line.Function
			return []sample{s}
		}
	}
	return nil
}

// request reads a request. That the client is at fault is not the function's failure.
func request(s sample, data []byte) []sample {
	var q struct {
		Function string            `json:"function"`
		Status   int               `json:"status"`
		Outcome  function.Outcome  `json:"outcome"`
		Duration function.Duration `json:"duration"`
	}
	if json.Unmarshal(data, &q) != nil || q.Function == "" {
		return nil
	}
	clients := q.Status >= http.StatusBadRequest && q.Status < http.StatusInternalServerError
	s.function, s.took = q.Function, q.Duration.Std()
	s.failed = q.Outcome != function.Succeeded && !clients || q.Status >= http.StatusInternalServerError
	return []sample{s}
}

// run reads the newest attempt of a run, which is what is new in it, and whether the run has died of it.
func (f *follow) run(s sample, run *function.Run) (all []sample) {
	s.function = run.Function
	if n := len(run.Attempts); n > 0 {
		a := run.Attempts[n-1]
		failed := a.Outcome != function.Succeeded
		again := a.ID != "" && (failed || a.Batch > 1) && f.told.add(a.ID)
		if !again {
			one := s
			one.failed, one.took = failed, a.Duration.Std()
			all = append(all, one)
		}
	}
	if run.State == function.RunDead && !strings.HasPrefix(run.Reason, function.ReasonResolved) {
		s.kind = function.AlertDeadLetters
		all = append(all, s)
	}
	return all
}
