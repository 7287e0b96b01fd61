package app_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// paced asks for the colour a few hundred times a second, which leaves the machine room, and emits events. It notes what comes back, and when.
type paced struct {
	n    *node
	work sync.WaitGroup
	stop context.CancelFunc

	mu       sync.Mutex
	answers  map[string]int
	took     []time.Duration // since the last call of phase
	accepted []string        // subjects of events
}

func startPaced(n *node) *paced {
	ctx, stop := context.WithCancel(context.Background())
	p := &paced{n: n, stop: stop, answers: map[string]int{}}
	for range 2 {
		p.work.Go(func() {
			own := &http.Client{Transport: &http.Transport{}, Timeout: patience}
			defer own.CloseIdleConnections()
			each(ctx, 8*time.Millisecond, func(int) {
				began := time.Now()
				what := ask(own, n.gateway)
				took := time.Since(began)
				p.mu.Lock()
				defer p.mu.Unlock()
				p.answers[what]++
				p.took = append(p.took, took)
			})
		})
	}
	p.work.Go(func() {
		each(ctx, 20*time.Millisecond, func(i int) {
			subject := fmt.Sprintf("e-%05d", i)
			err := n.emit("color.asked", subject, fmt.Sprintf("k-%d", i%50), "{}")
			p.mu.Lock()
			defer p.mu.Unlock()
			if err != nil {
				p.answers["event: "+err.Error()]++
				return
			}
			p.accepted = append(p.accepted, subject)
		})
	})
	return p
}

func each(ctx context.Context, every time.Duration, do func(i int)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for i := 0; ctx.Err() == nil; i++ {
		<-tick.C
		do(i)
	}
}

// phase is how long requests took since the last call, and begins the next.
func (p *paced) phase() (count int, half, p95 time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	took := p.took
	p.took = nil
	if len(took) == 0 {
		return 0, 0, 0
	}
	slices.Sort(took)
	return len(took), took[len(took)/2], took[len(took)*95/100]
}

func (p *paced) requests() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.took)
}

// A version that answers otherwise, one that hangs and one that is as good as the old one get copies, one after another, under load. The
// first two never answer a client, the third is released, and nobody waits for any of them.
func TestAShadowIsJudgedAndNobodyWaitsForIt(t *testing.T) {
	t.Parallel()
	n := start(t, t.TempDir())
	c := newColors(t, n)
	c.is("blue")
	c.spec.Rollout = c.spec.Rollout.As(function.StrategyShadow)
	r := c.spec.Rollout
	r.Shadow.For, r.Shadow.Sample, r.Watch = function.Duration(3*time.Second), 50, function.Duration(500*time.Millisecond)
	r.Gates.Start = function.Duration(patience)

	p := startPaced(n)
	defer p.stop()
	until(t, "some requests", func() bool { return p.requests() > 100 }) // the first instance has started
	p.phase()
	until(t, "the live version alone", func() bool { return p.requests() > 500 })
	count, half, p95 := p.phase()
	t.Logf("without a shadow: %d requests, half of them within %s, 95 %% within %s", count, half, p95)
	alone := half

	for _, test := range []struct {
		color string
		state function.RolloutState
		gate  function.Gate
	}{
		{"red", function.RolloutFailed, function.GateDifferences},
		{"blue 0 5000", function.RolloutFailed, function.GateSample}, // none of its copies ends in time
		{"blue 0", function.RolloutSucceeded, ""},
	} {
		p.phase()
		d := c.is(test.color)
		end := c.end(d)
		count, half, p95 := p.phase()
		facts := end.Taken[0].Facts
		if end.State != test.state || end.Gate != test.gate || facts == nil || facts.Shadow == nil {
			t.Fatalf("%s is %s by %s: %s (%+v), want %s by %s", test.color, end.State, end.Gate, end.Reason, facts, test.state, test.gate)
		}
		s := facts.Shadow
		t.Logf("%s: %d copies compared, %d differ, %d not made; %d requests, half within %s, 95 %% within %s", test.color, s.Compared, s.Differing(), s.Dropped, count, half, p95)
		if half > 2*alone+20*time.Millisecond {
			t.Errorf("beside %s half of the requests take %s, and %s without: they wait for copies", test.color, half, alone)
		}
		if test.color == "red" && (len(s.Examples) == 0 || s.Differing() != s.Compared) {
			t.Errorf("red: %+v, want every copy to differ, and examples", s)
		}
	}
	p.stop()
	p.work.Wait()
	for what, n := range p.answers {
		if what != "blue" {
			t.Errorf("%d times %s", n, what)
		}
	}
	until(t, "all runs to end", func() bool {
		return len(n.runs(client.RunQuery{Function: "colorpicker", State: function.RunSucceeded})) >= len(p.accepted)
	})
	if got := len(n.runs(client.RunQuery{Function: "colorpicker"})); got != len(p.accepted) {
		t.Errorf("%d runs of %d events: a copy is a run", got, len(p.accepted))
	}
	t.Logf("%v, %d events", p.answers, len(p.accepted))
	n.stop()
}

// A node that is killed in the middle goes on with what it had compared.
func TestAShadowGoesOnAfterAKill(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	n := start(t, data)
	c := newColors(t, n)
	c.is("blue")
	c.spec.Rollout = c.spec.Rollout.As(function.StrategyShadow)
	r := c.spec.Rollout
	r.Shadow.Sample, r.Watch, r.Gates.TooFew = 100, function.Duration(300*time.Millisecond), function.TooFewWait
	r.Shadow.For = function.Duration(500 * time.Millisecond)
	r.Gates.Sample = 40
	d := c.is("blue 0")
	until(t, "the copies", func() bool { return c.rollout(d).Step == 1 })
	compared := func() int64 {
		if f := c.rollout(d).Taken[0].Facts; f != nil && f.Shadow != nil {
			return f.Shadow.Compared
		}
		return 0
	}
	for range 25 {
		ask(http.DefaultClient, c.gateway)
	}
	until(t, "25 copies", func() bool { return compared() == 25 })
	c.kill()
	c.node = start(t, data)
	until(t, "what was compared before", func() bool { return compared() == 25 })
	var end wire.Rollout
	until(t, "the end", func() bool { // tooFew: wait is for the traffic behind the copies, too
		ask(http.DefaultClient, c.gateway)
		end = c.rollout(d)
		return end.Over()
	})
	if end.State != function.RolloutSucceeded || end.Taken[0].Facts.Shadow.Compared < 40 {
		t.Errorf("it is %s: %s by %+v, want succeeded by the copies of before and after", end.State, end.Reason, end.Taken[0].Facts)
	}
	c.stop()
}
