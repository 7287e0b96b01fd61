// Package runnertest is the conformance suite of runner.Runner: every driver passes it, also as an ordinary user.
// It tests what runner's documentation promises, with functions that try to break it.
package runnertest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/runner"
	"github.com/dalamb/dalamb/internal/runner/tree"
)

// patience is how long the suite waits for what must come: long, since nothing is slow because of it but a failure.
const patience = 2 * time.Minute

// New makes a runner of the driver under test.
type New func(stateDir string) (runner.Runner, error)

// Run runs the whole suite.
func Run(t *testing.T, make New) {
	s := &suite{make: make, code: Code(t)}
	r := s.runner(t)
	ability, err := r.Check(t.Context())
	if err != nil {
		t.Fatalf("Check: %v", err)
	}
	s.ability = ability
	t.Logf("%s: isolated %v, limits %v", r.Name(), ability.Isolated, ability.Limits)

	t.Run("command", s.command)
	t.Run("output", s.output)
	t.Run("network", s.network)
	t.Run("stop", s.stop)
	t.Run("limits", s.limits)
	t.Run("life", s.life)
	t.Run("killed node", s.killedNode)
	t.Run("images", s.images)
	t.Run("secrets", s.secrets)
	t.Run("mounts", s.mounts)
	t.Run("calls", s.ambassador)
	if _, ok := r.(runner.Accompanied); ok {
		t.Run("companions", s.companions)
	}
	if s.freezes(t) {
		t.Run("freeze", s.freeze)
	}
	if ability.Isolated {
		t.Run("fence", s.fence)
	}
}

type suite struct {
	make    New
	code    string // directory with the executable fn and some that cannot be run
	ability runner.Ability
	ids     atomic.Int64
}

func (s *suite) limited(what string) bool { return slices.Contains(s.ability.Limits, what) }

// runner makes one that is closed, and whose state directory must be empty or gone, at the end of the test.
func (s *suite) runner(t *testing.T) runner.Runner {
	t.Helper()
	return s.runnerAt(t, filepath.Join(t.TempDir(), "state"))
}

func (s *suite) runnerAt(t *testing.T, dir string) runner.Runner {
	t.Helper()
	r, err := s.make(dir)
	if err != nil {
		t.Fatalf("make runner: %v", err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		left, _ := os.ReadDir(dir)
		for _, e := range left {
			t.Errorf("%s is left in the state directory after Close", e.Name())
		}
	})
	return r
}

// Code makes the directory that functions are started from. DALAMB_RUNNERTEST_FN says where testfn is built already.
func Code(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "code")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	fn := filepath.Join(dir, "fn")
	if built := os.Getenv("DALAMB_RUNNERTEST_FN"); built != "" {
		b, err := os.ReadFile(built)
		if err == nil {
			err = os.WriteFile(fn, b, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	} else {
		cmd := exec.Command(need.Program(t, "go"), "build", "-o", fn, "github.com/dalamb/dalamb/internal/runner/runnertest/testfn")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build testfn: %v\n%s", err, out)
		}
	}
	for name, mode := range map[string]os.FileMode{"text": 0o644, "garbage": 0o755} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("\x7fno program\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// box is a sandbox with what it printed.
type box struct {
	runner.Sandbox
	t        *testing.T
	spec     runner.Spec
	out, err *buffer
}

// spec is one that any machine can start, running fn with these arguments.
func (s *suite) spec(t *testing.T, args ...string) runner.Spec {
	id := fmt.Sprintf("t%d-%d", os.Getpid(), s.ids.Add(1))
	return runner.Spec{
		ID: id, Function: "tested", Version: 1, CodeDir: s.code, Base: "scratch", Network: "none",
		Command: append([]string{"./fn"}, args...), Env: []string{"MARK=" + id},
		Memory: 256 << 20, CPU: 1, PIDs: 64, Tmp: 16 << 20,
	}
}

// start starts spec on r and stops it at the end of the test.
func start(t *testing.T, r runner.Runner, spec runner.Spec) *box {
	t.Helper()
	b := &box{t: t, out: newBuffer(), err: newBuffer()}
	if spec.Stdout == nil {
		spec.Stdout = b.out.add
	}
	if spec.Stderr == nil {
		spec.Stderr = b.err.add
	}
	b.spec = spec
	sb, err := r.Start(t.Context(), spec)
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	b.Sandbox = sb
	t.Cleanup(func() { sb.Stop(0) })
	return b
}

// end waits for the command to end by itself.
func (b *box) end() runner.Exit {
	b.t.Helper()
	for printed := int64(0); ; {
		select {
		case <-b.Done():
			return b.Exit()
		case <-time.After(patience):
		}
		// A gigabyte takes a busy machine minutes: what prints goes on.
		before := printed
		if printed = b.out.count() + b.err.count(); printed == before {
			b.t.Fatalf("%v does not end; stdout %q, stderr %q", b.spec.Command, b.out.tail(), b.err.tail())
		}
	}
}

// prints waits until stdout contains text.
func (b *box) prints(text string) {
	b.t.Helper()
	deadline := time.After(patience)
	for !strings.Contains(b.out.String(), text) {
		select {
		case <-b.out.more:
		case <-b.Done():
			if !strings.Contains(b.out.String(), text) {
				b.t.Fatalf("%v ended (%+v) and did not print %q; stdout %q, stderr %q", b.spec.Command, b.Exit(), text, b.out.tail(), b.err.tail())
			}
		case <-deadline:
			b.t.Fatalf("%v did not print %q; stdout %q, stderr %q", b.spec.Command, text, b.out.tail(), b.err.tail())
		}
	}
}

// run runs fn to its end, which must be exit code 0, and returns its stdout.
func (s *suite) run(t *testing.T, r runner.Runner, spec runner.Spec) string {
	t.Helper()
	b := start(t, r, spec)
	if e := b.end(); e.Code != 0 || e.Start != "" {
		t.Fatalf("%v: exit %+v, want code 0; stderr %q", spec.Command, e, b.err.tail())
	}
	return b.out.String()
}

// alive lists the processes of this machine that carry a spec's mark, or that hold the kernel which the sandbox has of its own and name it.
func alive(t *testing.T, spec runner.Spec) []int {
	t.Helper()
	all, err := tree.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, p := range all {
		marked, _ := tree.Marked(p.PID, "MARK="+spec.ID)
		words, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.PID)) // not there: it is gone
		if (marked || slices.Contains(strings.Split(string(words), "\x00"), spec.ID)) && !p.Zombie {
			pids = append(pids, p.PID)
		}
	}
	return pids
}

// eventually waits until ok, looking again and again.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited %v in vain until %s", patience, what)
		case <-again.C:
		}
	}
}

// buffer keeps the first MiB of what is added and tells of more.
type buffer struct {
	more chan struct{}

	mu    sync.Mutex
	bytes bytes.Buffer
	total int64
}

func newBuffer() *buffer { return &buffer{more: make(chan struct{}, 1)} }

func (b *buffer) add(p []byte) {
	b.mu.Lock()
	b.total += int64(len(p))
	if b.bytes.Len() < 1<<20 {
		b.bytes.Write(p)
	}
	b.mu.Unlock()
	select {
	case b.more <- struct{}{}:
	default:
	}
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes.String()
}

func (b *buffer) count() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.total
}

// tail is the end of it, for messages.
func (b *buffer) tail() string {
	s := b.String()
	return s[max(0, len(s)-500):]
}
