package runnertest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/runner"
)

func (s *suite) life(t *testing.T) {
	t.Run("many at a time", func(t *testing.T) {
		r := s.runner(t)
		var all sync.WaitGroup
		for i := range 24 {
			all.Go(func() {
				spec := s.spec(t, "exit", itoa(i))
				sb, err := r.Start(t.Context(), spec)
				if err != nil {
					t.Errorf("Start: %v", err)
					return
				}
				<-sb.Done()
				if e := sb.Exit(); e != (runner.Exit{Code: i}) {
					t.Errorf("Exit = %+v, want code %d", e, i)
				}
			})
		}
		all.Wait()
	})

	t.Run("an id is taken while it lives", func(t *testing.T) {
		r := s.runner(t)
		b := start(t, r, s.spec(t, "sleep"))
		if _, err := r.Start(t.Context(), b.spec); fault.KindOf(err) != fault.Conflict {
			t.Errorf("second Start = %v, want a Conflict fault", err)
		}
		b.Stop(0)
		again := start(t, r, b.spec)
		again.Stop(0)
	})

	t.Run("close ends all", func(t *testing.T) {
		r := s.runner(t)
		b := start(t, r, s.spec(t, "escape"))
		b.prints("ready")
		if err := r.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		select {
		case <-b.Done():
		default:
			t.Error("Done is not closed after Close")
		}
		if left := alive(t, b.spec); left != nil {
			t.Errorf("processes %v live after Close", left)
		}
		if _, err := r.Start(t.Context(), s.spec(t, "sleep")); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("Start after Close = %v, want an Unavailable fault", err)
		}
	})

	t.Run("context that has ended", func(t *testing.T) {
		r := s.runner(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		spec := s.spec(t, "sleep")
		if _, err := r.Start(ctx, spec); !errors.Is(err, context.Canceled) {
			t.Errorf("Start = %v, want context.Canceled", err)
		}
		if left := alive(t, spec); left != nil {
			t.Errorf("processes %v live", left)
		}
	})

	t.Run("without limits", func(t *testing.T) {
		r := s.runner(t)
		spec := s.spec(t, "exit", "0")
		spec.Memory, spec.CPU, spec.PIDs, spec.Tmp = 0, 0, 0, 0
		if e := start(t, r, spec).end(); e != (runner.Exit{}) {
			t.Errorf("Exit = %+v, want code 0", e)
		}
	})

	t.Run("check and recover, then start", func(t *testing.T) {
		r := s.runner(t)
		for range 2 {
			if _, err := r.Check(t.Context()); err != nil {
				t.Fatal(err)
			}
			if n, err := r.Recover(t.Context()); n != 0 || err != nil {
				t.Errorf("Recover after Check = %d, %v; want 0, nil", n, err)
			}
			s.run(t, r, s.spec(t, "exit", "0"))
		}
	})

	t.Run("recover with nothing there", func(t *testing.T) {
		if n, err := s.runner(t).Recover(t.Context()); n != 0 || err != nil {
			t.Errorf("Recover = %d, %v; want 0, nil", n, err)
		}
	})
}

// killedNode kills a process that is a node with functions, and lets another recover.
func (s *suite) killedNode(t *testing.T) {
	bystander := start(t, s.runner(t), s.spec(t, "stubborn"))
	bystander.prints("ready")
	before := alive(t, bystander.spec)

	state := filepath.Join(t.TempDir(), "state")
	s.killNode(t, state)

	if s.ability.Isolated {
		eventually(t, "the killed node's functions are gone by themselves", func() bool {
			left := 0
			for i := range nodeSandboxes {
				left += len(alive(t, runner.Spec{ID: nodeID(i)}))
			}
			return left == 0
		})
	}
	r := s.runnerAt(t, state)
	if n, err := r.Recover(t.Context()); n != nodeSandboxes || err != nil {
		t.Errorf("Recover = %d, %v; want the %d sandboxes of the killed node", n, err, nodeSandboxes)
	}
	for i := range nodeSandboxes {
		spec := runner.Spec{ID: nodeID(i)}
		if left := alive(t, spec); left != nil {
			t.Errorf("processes %v of the killed node live after Recover", left)
		}
	}
	start(t, r, s.spec(t, "exit", "0")).end()
	if n, err := r.Recover(t.Context()); n != 0 || err != nil {
		t.Errorf("second Recover = %d, %v; want 0, nil", n, err)
	}
	if got := alive(t, bystander.spec); len(got) == 0 || !slices.Equal(got, before) {
		t.Errorf("processes of another state directory: %v, want those that were there, %v", got, before)
	}
}

// killNode starts a process that is a node with functions, and kills it.
func (s *suite) killNode(t *testing.T, state string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), nodeVar+"="+state, codeVar+"="+s.code)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if killErr := cmd.Process.Kill(); killErr != nil {
		t.Fatal(killErr)
	}
	if err != nil || line != "ready\n" {
		t.Fatalf("the node to be killed said %q, %v; want ready", line, err)
	}
	_ = cmd.Wait() // it was killed
}

const (
	nodeVar       = "DALAMB_RUNNERTEST_NODE"
	codeVar       = "DALAMB_RUNNERTEST_CODE"
	nodeSandboxes = 3
)

func nodeID(i int) string { return fmt.Sprintf("killed-%d", i) }

// Main is the body of a driver's TestMain: it runs the tests or, as the child of one, the node that is killed or the world of a stage.
func Main(m *testing.M, make New) int {
	if isWorld() {
		return failure(world())
	}
	state := os.Getenv(nodeVar)
	if state == "" {
		return m.Run()
	}
	return failure(node(make, state))
}

func failure(err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// node starts functions that do not end by themselves, freezes the first of them and waits to be killed.
func node(make New, state string) error {
	r, err := make(state)
	if err != nil {
		return err
	}
	for i := range nodeSandboxes {
		ready := newBuffer()
		sb, err := r.Start(context.Background(), runner.Spec{
			ID: nodeID(i), Function: "left", Version: 1, CodeDir: os.Getenv(codeVar), Base: "scratch", Network: "none",
			Command: []string{"./fn", "escape"}, Env: []string{"MARK=" + nodeID(i)},
			Memory: 64 << 20, CPU: 1, PIDs: 64, Tmp: 1 << 20, Stdout: ready.add,
		})
		if err != nil {
			return err
		}
		for !strings.Contains(ready.String(), "ready") {
			<-ready.more
		}
		if f, can := sb.(runner.Freezer); can && i == 0 {
			if err := f.Freeze(true); err != nil && !errors.Is(err, errors.ErrUnsupported) {
				return err
			}
		}
	}
	fmt.Println("ready")
	select {}
}
