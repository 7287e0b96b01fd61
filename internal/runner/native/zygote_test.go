//go:build linux

package native

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/runner"
	"github.com/dalamb/dalamb/internal/runner/native/inside"
	"golang.org/x/sys/unix"
)

func TestNestsAreMadeAfterTheZygoteDied(t *testing.T) {
	fences(t)
	r, err := New(Options{StateDir: t.TempDir() + "/state", Spare: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	spec := runner.Spec{ID: "before", Base: "host", Network: "none", Command: []string{"sleep", "60"}}
	before, err := r.Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	b := <-r.zygote.turn
	if err := b.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.cmd.Process.Wait(); err != nil {
		t.Fatal(err)
	}
	r.zygote.turn <- b
	after, err := r.Start(t.Context(), runner.Spec{ID: "after", Base: "host", Network: "none", Command: []string{"true"}})
	if err != nil {
		t.Fatalf("Start after the zygote was killed: %v", err)
	}
	<-after.Done()
	if e := after.Exit(); e != (runner.Exit{}) {
		t.Errorf("Exit = %+v, want code 0", e)
	}
	select {
	case <-before.Done():
		t.Errorf("the sandbox of the killed zygote ended with it: %+v", before.Exit())
	default:
	}
	before.Stop(0)
	if e := before.Exit(); e.Signal != "SIGKILL" {
		t.Errorf("Exit = %+v, want it killed by Stop", e)
	}
}

// The init must not touch the mounts of the host, in whatever way it was started.
func TestInitInTheHostsMountNamespaceRefuses(t *testing.T) {
	need.Linux(t)
	need.Root(t)
	before, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")
	defer ours.Close()
	env := []string{inside.Variable + "=host"}
	for _, name := range []string{"mnt", "pid", "user"} {
		id, err := os.Readlink("/proc/self/ns/" + name)
		if err != nil {
			t.Fatal(err)
		}
		env = append(env, "DALAMB_OUTSIDE_"+name+"="+id)
	}
	cmd := &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{"dalamb-init"}, Dir: "/", Env: env, ExtraFiles: []*os.File{theirs},
		SysProcAttr: &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID},
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	kind, u, _, err := inside.NewConn(fds[0]).Receive()
	if err != nil || kind != inside.Failed {
		t.Errorf("the init said %c, %v; want Failed", kind, err)
	} else if text := u.Text(); !strings.Contains(text, "mnt namespace") {
		t.Errorf("the init said %q, want that it is in the host's mnt namespace", text)
	}
	_ = cmd.Wait() // it refused
	after, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || string(after) != string(before) {
		t.Errorf("mounts are now\n%s(%v), want them as before", after, err)
	}
}

// A v2 group needs none of the controllers to hold a process, so this works where they are all in v1.
func TestNestBeginsInItsV2Group(t *testing.T) {
	fences(t)
	need.Root(t)
	m, err := thisMachine()
	if err != nil {
		t.Fatal(err)
	}
	mounts := m.mounts()
	i := slices.IndexFunc(mounts, func(mnt mount) bool { return mnt.v2 })
	need.That(t, i >= 0, "a mounted cgroup v2 tree")
	r, err := New(Options{StateDir: t.TempDir() + "/state", Spare: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	parent := hierarchy{dir: filepath.Join(mounts[i].point, r.name), v2: true}
	if err := os.Mkdir(parent.dir, 0o755); err != nil && !os.IsExist(err) {
		t.Fatal(err)
	}
	r.groups = func() *cgroups { return &cgroups{parents: []hierarchy{parent}, mkdir: m.mkdir} }
	n, err := r.nest(usual())
	if err != nil {
		t.Fatal(err)
	}
	defer r.discard(n)
	b, err := os.ReadFile(filepath.Join(n.group.in[0].dir, "cgroup.procs"))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Fields(string(b)); len(got) != 1 {
		t.Errorf("processes %v in the group, want the init alone", got)
	}
}
