package health

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

const window = 30 * time.Second

func limits() Limits {
	return Limits{
		Store: Limit{Degraded: .5, Unhealthy: 5}, Queue: Limit{Degraded: 100, Unhealthy: 1000},
		Errors: Limit{Degraded: .05, Unhealthy: .5}, Response: Limit{Degraded: 1, Unhealthy: 10},
	}
}

func repeat(n int, v float64) []float64 {
	all := make([]float64, n)
	for i := range all {
		all[i] = v
	}
	return all
}

func TestAMeasureIsGradedByTheAverageAndNotByAnOutlier(t *testing.T) {
	for name, c := range map[string]struct {
		measure string
		samples []float64
		want    Grade
	}{
		"nothing":                     {Response, nil, Healthy},
		"quick":                       {Response, repeat(100, .01), Healthy},
		"slow":                        {Response, repeat(100, 1.5), Degraded},
		"very slow":                   {Response, repeat(100, 11), Unhealthy},
		"too few to tell":             {Response, repeat(least-1, 11), Healthy},
		"one of few takes an hour":    {Response, append(repeat(least-1, .01), 3600), Healthy},
		"some take an hour":           {Response, append(repeat(80, .01), repeat(20, 3600)...), Healthy},
		"most take an hour":           {Response, append(repeat(20, .01), repeat(80, 3600)...), Unhealthy},
		"a failure":                   {Errors, append(repeat(least-1, 0), 1), Healthy},
		"failures":                    {Errors, append(repeat(90, 0), repeat(10, 1)...), Degraded},
		"almost nothing but failures": {Errors, append(repeat(10, 0), repeat(90, 1)...), Unhealthy},
		"a queue that was long once":  {Queue, append(repeat(9, 0), 100_000), Healthy},
		"a queue":                     {Queue, repeat(10, 300), Degraded},
	} {
		m := newMeter(limits().of(c.measure), c.measure == Errors, window)
		now := time.Unix(1_000_000, 0)
		for _, v := range c.samples {
			m.add(now, v)
		}
		if got := m.judge(c.measure, now); got.Grade != c.want || got.Samples != len(c.samples) {
			t.Errorf("%s: %+v, want %v of %d samples", name, got, c.want, len(c.samples))
		}
	}
}

func TestAGradeIsLeftBelowTheBoundAndForgottenWithTheWindow(t *testing.T) {
	m, now := newMeter(Limit{Degraded: 100}, false, window), time.Unix(1_000_000, 0)
	steps := []struct {
		value float64
		want  Grade
	}{{90, Healthy}, {101, Degraded}, {95, Degraded}, {81, Degraded}, {79, Healthy}, {95, Healthy}}
	for _, s := range steps {
		now = now.Add(2 * window)
		for range least {
			m.add(now, s.value)
		}
		if got := m.judge(Queue, now).Grade; got != s.want {
			t.Errorf("after averages of %v: %v, want %v", s.value, got, s.want)
		}
	}
	for range least {
		m.add(now, 1e6)
	}
	if got := m.judge(Queue, now.Add(window-m.slot)); got.Grade != Degraded {
		t.Errorf("within the window: %+v, want degraded", got)
	}
	if got := m.judge(Queue, now.Add(window)); got.Grade != Healthy || got.Samples != 0 {
		t.Errorf("after the window: %+v, want healthy and nothing known", got)
	}
}

func TestAQueueKeepsItsGradeThoughTicksComeLate(t *testing.T) {
	m, at := newMeter(limits().Queue, false, window), time.Unix(1_000_000_020, 0)
	for i := range 60 {
		now := at.Add(time.Duration(i)*m.slot - time.Millisecond)
		if i%7 == 3 {
			now = now.Add(2 * time.Millisecond) // over the edge of its slot
		}
		value := 300.
		if i > 30 {
			value = 90 // below the bound, and not yet calm
		}
		m.add(now, value)
		if got := m.judge(Queue, now); i >= leastTaken && got.Grade != Degraded {
			t.Fatalf("tick %d: %+v, want degraded", i, got)
		}
	}
}

func TestCallsCountForWhoIsToBlame(t *testing.T) {
	good := &function.Result{Outcome: function.Succeeded}
	for name, c := range map[string]struct {
		result   *function.Result
		err      error
		node, fn float64 // failures
		samples  int
	}{
		"success":                    {good, nil, 0, 0, 1},
		"the function fails":         {&function.Result{Outcome: function.Failed, Status: 502}, nil, 0, 1, 1},
		"it is killed":               {&function.Result{Outcome: function.OOM}, nil, 0, 1, 1},
		"it tells the client no":     {&function.Result{Outcome: function.Failed, Status: 404, Header: http.Header{}}, nil, 0, 0, 1},
		"it says 500":                {&function.Result{Outcome: function.Failed, Status: 500, Header: http.Header{}}, nil, 0, 1, 1},
		"no room on the node":        {nil, fault.New(fault.Exhausted, "full"), 1, 1, 1},
		"no room in scale.max":       {nil, fault.New(fault.Exhausted, "full: %w", fleet.ErrOwnBound), 0, 1, 1},
		"dalamb fails":               {nil, errors.New("boom"), 1, 1, 1},
		"the client asks wrongly":    {nil, fault.New(fault.Invalid, "what?"), 0, 0, 0},
		"there is no such function":  {nil, fault.New(fault.NotFound, "who?"), 0, 0, 0},
		"the client leaves the wait": {nil, fault.New(fault.Exhausted, "late: %w", context.Canceled), 0, 0, 0},
	} {
		h, err := New(Options{Window: window, Limits: limits()})
		if err != nil {
			t.Fatal(err)
		}
		h.Called("f", c.result, c.err, time.Millisecond)
		h.judge()
		of := func(r Report) Measure {
			for _, m := range r.Measures {
				if m.Name == Errors {
					return m
				}
			}
			t.Fatalf("%s: no %s in %+v", name, Errors, r)
			return Measure{}
		}
		node, fn := of(h.Node()), of(h.Function("f"))
		if node.Average != c.node || fn.Average != c.fn || node.Samples != c.samples || fn.Samples != c.samples {
			t.Errorf("%s: node %+v, function %+v; want failures %v, %v of %d", name, node, fn, c.node, c.fn, c.samples)
		}
	}
}

func TestOneFunctionsFailuresAreNotAnothersNorTheNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		var waiting atomic.Int64
		h, err := New(Options{Window: window, Limits: limits(), Logger: slog.New(slog.NewTextHandler(&said, nil)), Queued: func() map[string]int { return map[string]int{"good": int(waiting.Load())} }})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- h.Run(ctx) }()
		for range 100 {
			h.Called("bad", &function.Result{Outcome: function.Crashed}, nil, time.Millisecond)
			h.Called("good", &function.Result{Outcome: function.Succeeded}, nil, time.Millisecond)
		}
		time.Sleep(window / slots)
		synctest.Wait()
		if bad, good, node := h.Function("bad").Grade, h.Function("good").Grade, h.Node().Grade; bad != Unhealthy || good != Healthy || node != Healthy {
			t.Errorf("bad is %v, good is %v, the node is %v; want unhealthy, healthy, healthy", bad, good, node)
		}
		if !strings.Contains(said.String(), "grade=unhealthy before=healthy") || strings.Contains(said.String(), "function=good") {
			t.Errorf("the log says %q, want that bad is unhealthy", said.String())
		}
		waiting.Store(2000)
		time.Sleep(window + window/slots)
		synctest.Wait()
		if good, node := h.Function("good").Grade, h.Node().Grade; good != Unhealthy || node != Unhealthy {
			t.Errorf("with 2000 calls that wait, good is %v and the node is %v; want unhealthy", good, node)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if n := len(h.functions); n != 1 {
			t.Errorf("%d functions are kept, want only the one whose calls wait", n)
		}
	})
}

// slowLog takes a while for each append.
type slowLog struct {
	eventlog.Log
	err error
}

func (l slowLog) Append(ctx context.Context, _ []eventlog.Record) ([]eventlog.Position, error) {
	time.Sleep(time.Second)
	return nil, l.err
}

type dedupingLog struct {
	slowLog
	eventlog.Deduper
}

func TestALogThatIsSlowIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, err := New(Options{Window: window, Limits: limits()})
		if err != nil {
			t.Fatal(err)
		}
		l := h.Log(slowLog{})
		for range least {
			if _, err := l.Append(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
		}
		h.judge()
		if m := h.Node().Measures[0]; m.Name != Store || m.Grade != Degraded || m.Average != 1 {
			t.Errorf("%+v, want degraded, of one second", m)
		}
		if _, err := h.Log(slowLog{err: fault.New(fault.NotFound, "no topic")}).Append(t.Context(), nil); err == nil {
			t.Error("the log's error is lost")
		}
		h.judge()
		if n := h.Node().Measures[0].Samples; n != least {
			t.Errorf("%d samples, want %d: what is refused tells nothing of the log", n, least)
		}
	})
}

func TestAWatchedLogHasTheAbilitiesOfItsOwn(t *testing.T) {
	h, err := New(Options{Window: window})
	if err != nil {
		t.Fatal(err)
	}
	if _, is := h.Log(slowLog{}).(eventlog.Deduper); is {
		t.Error("a log that cannot tell repeated records says that it can")
	}
	if _, is := h.Log(dedupingLog{}).(eventlog.Deduper); !is {
		t.Error("a log that can tell repeated records does not say so")
	}
}
