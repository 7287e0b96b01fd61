//go:build linux

package native

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/runner"
	"github.com/dalamb/dalamb/internal/runner/tree"
)

func TestWhereFunctionsAreFrozen(t *testing.T) {
	const v1 = "30 24 0:30 / $DIR/pids rw - cgroup cgroup rw,pids\n"
	const v2 = "35 24 0:31 / $DIR/unified rw - cgroup2 cgroup2 rw\n"
	for _, c := range []struct {
		name, mounts string
		controllers  string
		kernel       bool // knows cgroup.freeze
		want         string
		within       bool
	}{
		{"v2 with controllers", v2, "memory pids\n", true, "unified/dalamb-x", true},
		{"v1 beside a v2 without ours", v1 + v2, "hugetlb\n", true, "unified/dalamb-x", false},
		{"v1 beside an old v2", v1 + v2, "hugetlb\n", false, "", false},
		{"v1 alone", v1, "", true, "", false},
		{"v2 without controllers", v2, "hugetlb\n", true, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &fake{dir: t.TempDir(), files: map[string]string{"cgroup.controllers": c.controllers, "cgroup.subtree_control": "", "cgroup.procs": ""}}
			if c.kernel {
				f.files[freezeFile] = ""
			}
			for _, d := range []string{"pids", "unified"} {
				if err := f.mkdir(filepath.Join(f.dir, d)); err != nil {
					t.Fatal(err)
				}
			}
			m := &machine{mountInfo: expandDir(c.mounts, f.dir), self: "8:pids:/\n0::/\n", pid: "0", mkdir: f.mkdir}
			got := m.cgroups("dalamb-x").frost
			switch {
			case got == nil && c.want != "":
				t.Errorf("nothing can be frozen, want %s", c.want)
			case got != nil && (got.dir != filepath.Join(f.dir, c.want) || got.within != c.within):
				t.Errorf("frost = %+v, want %q, within %v", got, c.want, c.within)
			}
			left, err := filepath.Glob(f.dir + "/unified/dalamb*")
			if err != nil || c.want == "" && left != nil && c.kernel {
				t.Errorf("%v is left, %v", left, err)
			}
		})
	}
}

func expandDir(text, dir string) string {
	return os.Expand(text, func(string) string { return dir })
}

// runs says whether a process may still do anything. One that is exiting cannot be moved, and runs no code of its own. // PF_EXITING
func runs(pid int) bool {
	p, ok := tree.Find(pid)
	if !ok || p.Zombie {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	const flags, exiting = 6, 0x4
	f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	set, err := strconv.ParseUint(f[flags], 10, 64)
	return err != nil || set&exiting == 0
}

func TestAllOfAFunctionButItsInitIsFrozen(t *testing.T) {
	fences(t)
	r, err := New(Options{StateDir: t.TempDir() + "/state", Spare: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	need.That(t, r.groups().frost != nil, "a cgroup v2 tree where this user may make groups")
	// The inner shell starts programs all the time: some are there before it is moved, some after. It waits for them, so that they never
	// are more than it may start: a shell that cannot start one ends.
	sb, err := r.Start(t.Context(), runner.Spec{
		ID: "a", Base: "host", Network: "none", Command: []string{"sh", "-c", "while :; do true & true & true & true & wait; done & wait"}, PIDs: 60,
	})
	if err != nil {
		t.Fatal(err)
	}
	box := sb.(*sandbox)
	g := box.nest.group
	for round := range 20 {
		if err := box.Freeze(true); err != nil {
			t.Fatalf("Freeze: %v", err)
		}
		all, err := g.in[0].processes()
		if err != nil {
			t.Fatal(err)
		}
		cold, err := box.frozen.at.processes()
		if err != nil {
			t.Fatal(err)
		}
		in := map[int]bool{box.nest.init.PID: true}
		for _, pid := range cold {
			in[pid] = true
		}
		if len(cold) == 0 || in[box.nest.init.PID] && len(in) != len(cold)+1 {
			t.Errorf("round %d: frozen are %v, want some, without the init %d", round, cold, box.nest.init.PID)
		}
		for _, pid := range all {
			if !in[pid] && runs(pid) {
				t.Errorf("round %d: process %d of the function is not frozen", round, pid)
			}
		}
		if err := box.Freeze(false); err != nil {
			t.Fatalf("thaw: %v", err)
		}
	}
	sb.Stop(0)
	r.sweeper.close()
	if _, err := os.Stat(g.frostDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the group of what was frozen is left: %v", err)
	}
}
