package app_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/image"
	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/wire"
)

const colorpicker = "../../examples/colorpicker"

// colors deploys examples/colorpicker in one colour after another.
type colors struct {
	*node
	dir  string
	spec function.Spec
}

func newColors(t *testing.T, n *node) *colors {
	t.Helper()
	need.Program(t, "go")
	text, err := os.ReadFile(filepath.Join(colorpicker, "dalamb.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := function.ParseManifest("dalamb.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	c := &colors{node: n, dir: t.TempDir(), spec: m.Functions[0].Spec}
	r := c.spec.Rollout
	r.Every, r.Watch = function.Duration(1500*time.Millisecond), function.Duration(1500*time.Millisecond)
	r.Gates.Latency = 0 // of a machine on which other tests run at the same time
	build := exec.Command("go", "build", "-o", filepath.Join(c.dir, "colorpicker"), ".")
	build.Dir, build.Env = colorpicker, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the example: %v\n%s", err, out)
	}
	return c
}

// is deploys a version whose file color says this; "" = it has none, and cannot start.
func (c *colors) is(color string) wire.Deployed {
	c.t.Helper()
	file := filepath.Join(c.dir, "color")
	err := os.WriteFile(file, []byte(color), 0o644)
	if color == "" {
		err = os.Remove(file)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	var code bytes.Buffer
	digest, err := image.Pack(c.dir, &code)
	if err == nil {
		err = c.client.PutCode(c.t.Context(), digest, &code)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	d, err := c.client.Deploy(c.t.Context(), wire.DeployRequest{Spec: c.spec, Code: digest})
	if err != nil {
		c.t.Fatal(err)
	}
	return d
}

// rollout is what is known of the roll-out that a deploy has started.
func (c *colors) rollout(d wire.Deployed) wire.Rollout {
	c.t.Helper()
	r, err := c.client.RolloutByID(c.t.Context(), d.Function, d.Rollout)
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

func (c *colors) end(d wire.Deployed) (r wire.Rollout) {
	c.t.Helper()
	until(c.t, fmt.Sprintf("the end of the roll-out of version %d", d.Version), func() bool {
		r = c.rollout(d)
		return r.Over()
	})
	return r
}

// load asks for the colour on several connections, and emits events, until it is stopped. It counts what comes back.
type load struct {
	n    *node
	work sync.WaitGroup
	stop context.CancelFunc

	mu       sync.Mutex
	answers  map[string]int // colour, or "gold failed", or what went wrong
	accepted []string       // subjects of events
}

func startLoad(n *node, connections int) *load {
	ctx, stop := context.WithCancel(context.Background())
	l := &load{n: n, stop: stop, answers: map[string]int{}}
	for range connections {
		l.work.Go(func() {
			own := &http.Client{Transport: &http.Transport{}, Timeout: patience}
			defer own.CloseIdleConnections()
			for ctx.Err() == nil {
				what := ask(own, n.gateway)
				l.mu.Lock()
				l.answers[what]++
				l.mu.Unlock()
			}
		})
	}
	l.work.Go(func() {
		every := time.NewTicker(20 * time.Millisecond)
		defer every.Stop()
		for i := 0; ctx.Err() == nil; i++ {
			<-every.C
			subject := fmt.Sprintf("e-%05d", i)
			err := n.emit("color.asked", subject, "", "{}")
			l.mu.Lock()
			if err != nil {
				l.answers["event: "+err.Error()]++
			} else {
				l.accepted = append(l.accepted, subject)
			}
			l.mu.Unlock()
		}
	})
	return l
}

// ask makes one request. Only the function sets X-Color: what comes without is a request that it did not get.
func ask(c *http.Client, gateway string) string {
	resp, err := c.Get(gateway + "/colors/color")
	if err != nil {
		return "lost: " + err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	color := resp.Header.Get("X-Color")
	switch {
	case err != nil:
		return "cut off: " + err.Error()
	case color == "":
		return fmt.Sprintf("lost: %s: %s", resp.Status, body)
	case resp.StatusCode != http.StatusOK:
		return color + " failed"
	}
	return color
}

// since is what came back after the call.
func (l *load) since() func() map[string]int {
	l.mu.Lock()
	before := maps.Clone(l.answers)
	l.mu.Unlock()
	return func() map[string]int {
		l.mu.Lock()
		defer l.mu.Unlock()
		now := map[string]int{}
		for what, n := range l.answers {
			if n -= before[what]; n > 0 {
				now[what] = n
			}
		}
		return now
	}
}

// A function is under constant load while a version is rolled out, another one is rolled back, and one does not start. Each request is
// answered by the function, and each event ends well.
func TestARolloutLosesNothing(t *testing.T) {
	t.Parallel()
	n := start(t, t.TempDir())
	c := newColors(t, n)
	c.is("blue")
	l := startLoad(n, 8)
	defer l.stop()

	phase := l.since()
	if r := c.end(c.is("red")); r.State != function.RolloutSucceeded {
		t.Fatalf("red is %s: %s", r.State, r.Reason)
	}
	t.Logf("blue to red: %v", phase())
	if got := phase(); got["blue"] == 0 || got["red"] == 0 {
		t.Errorf("answers = %v, want both colours", got)
	}

	// The way back. What the new version answers itself, mistakes too, is no loss.
	if r := c.end(c.is("gold 30")); r.State != function.RolloutFailed || r.Gate != function.GateErrors {
		t.Fatalf("gold is %s: %s, want it rolled back by its errors", r.State, r.Reason)
	}
	phase = l.since()
	if r := c.end(c.is("")); r.State != function.RolloutFailed || r.Gate != function.GateStart || r.Weight != 0 {
		t.Fatalf("what does not start is %s: %s, want it rolled back before anything moved", r.State, r.Reason)
	}
	until(t, "some more answers", func() bool { return phase()["red"] > 200 })
	t.Logf("a version that does not start: %v", phase())

	c.spec.Rollout = c.spec.Rollout.As(function.StrategyBlueGreen)
	c.spec.Rollout.Watch = function.Duration(2 * time.Second)
	if r := c.end(c.is("green")); r.State != function.RolloutSucceeded {
		t.Fatalf("green is %s: %s", r.State, r.Reason)
	}
	phase = l.since()
	until(t, "answers of the last version alone", func() bool { return phase()["green"] > 200 })

	l.stop()
	l.work.Wait()
	total := 0
	for _, what := range slices.Sorted(maps.Keys(l.answers)) {
		total += l.answers[what]
		switch what {
		case "blue", "red", "gold", "gold failed", "green":
		default:
			t.Errorf("%d times %s", l.answers[what], what)
		}
	}
	until(t, "all runs to end", func() bool {
		return len(n.runs(client.RunQuery{Function: "colorpicker", State: function.RunSucceeded})) >= len(l.accepted)
	})
	ran := map[string]int{}
	for _, r := range n.runs(client.RunQuery{Function: "colorpicker"}) {
		ran[r.Event.Subject]++
		if r.State != function.RunSucceeded {
			t.Errorf("the run of %s is %s: %s", r.Event.Subject, r.State, r.Reason)
		}
	}
	for _, subject := range l.accepted {
		if ran[subject] != 1 {
			t.Errorf("%s has %d runs, want 1", subject, ran[subject])
		}
	}
	t.Logf("%d requests on 8 connections: %v; %d events", total, l.answers, len(l.accepted))
	n.stop()
}

// A roll-out whose node is killed in the middle goes on with the step that it is in.
func TestARolloutGoesOnAfterAKill(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	n := start(t, data)
	c := newColors(t, n)
	c.is("blue")
	d := c.is("red")
	for step := range 3 {
		until(t, fmt.Sprintf("step %d", step+1), func() bool { return c.rollout(d).Step > step })
		c.kill()
		c.node = start(t, data)
	}
	r := c.end(d)
	if r.State != function.RolloutSucceeded || len(r.Taken) != 4 {
		t.Errorf("it is %s after %d steps: %s; want succeeded after 4", r.State, len(r.Taken), r.Reason)
	}
	if got := ask(http.DefaultClient, c.gateway); got != "red" {
		t.Errorf("the answer is %q, want red", got)
	}
	c.stop()
}
