package app_test

import (
	"bytes"
	"os/exec"
	"regexp"
	"strconv"
	"syscall"
	"testing"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/need"
)

// wrk is a wrk that asks for the colour on its connections, as fast as it gets answers.
type wrk struct {
	t   *testing.T
	cmd *exec.Cmd
	out bytes.Buffer
}

func startWrk(t *testing.T, n *node) *wrk {
	t.Helper()
	w := &wrk{t: t}
	w.cmd = exec.Command(need.Program(t, "wrk"), "-t1", "-c8", "-d10m", "--timeout", "60s", "-s", "testdata/colors.lua", n.gateway+"/colors/color")
	w.cmd.Stdout, w.cmd.Stderr = &w.out, &w.out
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if w.cmd.ProcessState == nil {
			w.cmd.Process.Kill()
			w.cmd.Wait()
		}
	})
	return w
}

// counts ends it, and says what it has counted.
func (w *wrk) counts() map[string]int {
	w.t.Helper()
	if err := w.cmd.Process.Signal(syscall.SIGINT); err != nil {
		w.t.Fatal(err)
	}
	if err := w.cmd.Wait(); err != nil {
		w.t.Fatalf("wrk: %v\n%s", err, w.out.String())
	}
	found := map[string]int{}
	for _, line := range regexp.MustCompile(`(?m)^count (\S+) (\d+)$`).FindAllStringSubmatch(w.out.String(), -1) {
		found[line[1]], _ = strconv.Atoi(line[2])
	}
	return found
}

// The load of a program that knows nothing of dalamb, beside that of Go's client: while a version is rolled out and another one is rolled back, wrk
// has no connection that fails, and no answer that is not the function's.
func TestWrkLosesNoRequest(t *testing.T) {
	t.Parallel()
	need.Program(t, "wrk")
	n := start(t, t.TempDir())
	c := newColors(t, n)
	c.is("blue")
	l := startLoad(n, 2)
	defer l.stop()
	w := startWrk(t, n)
	if r := c.end(c.is("red")); r.State != function.RolloutSucceeded {
		t.Fatalf("red is %s: %s", r.State, r.Reason)
	}
	if r := c.end(c.is("gold 30")); r.State != function.RolloutFailed || r.Gate != function.GateErrors {
		t.Fatalf("gold is %s: %s, want it rolled back by its errors", r.State, r.Reason)
	}
	got := w.counts()
	l.stop()
	l.work.Wait()
	t.Logf("wrk: %v; Go's client: %v", got, l.answers)
	for _, name := range []string{"blue", "red", "gold", "failed"} {
		if got[name] == 0 {
			t.Errorf("no answer is %s", name)
		}
	}
	for name, n := range got {
		if n != 0 && (name == "lost" || regexp.MustCompile(`^errors\.`).MatchString(name)) {
			t.Errorf("%d times %s\n%s", n, name, w.out.String())
		}
	}
	if sum := got["blue"] + got["red"] + got["gold"] + got["failed"]; sum < got["requests"] || got["requests"] == 0 {
		t.Errorf("%d requests, and %d of them were answered by the function", got["requests"], sum)
	}
	for what, n := range l.answers {
		switch what {
		case "blue", "red", "gold", "gold failed":
		default:
			t.Errorf("Go's client: %d times %s", n, what)
		}
	}
	n.stop()
}
