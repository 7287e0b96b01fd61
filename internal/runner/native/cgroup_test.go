//go:build linux

package native

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/runner"
)

// fake is a directory that looks like mounted cgroups. Files that the kernel would make with a group are made by mkdir.
type fake struct {
	dir   string
	files map[string]string // of every group, by name
}

func (f *fake) mkdir(path string) error {
	if err := os.Mkdir(path, 0o755); err != nil {
		return err
	}
	return f.fill(path)
}

func (f *fake) fill(path string) error {
	var errs []error
	for name, content := range f.files {
		errs = append(errs, os.WriteFile(filepath.Join(path, name), []byte(content), 0o644))
	}
	return errors.Join(errs...)
}

func (f *fake) read(t *testing.T, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(append([]string{f.dir}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func spec() *runner.Spec { return &runner.Spec{Memory: 64 << 20, CPU: 0.5, PIDs: 20} }

func TestCgroupsV2(t *testing.T) {
	f := &fake{dir: t.TempDir(), files: map[string]string{
		"cgroup.controllers": "cpuset cpu io memory hugetlb pids\n", "cgroup.subtree_control": "", "cgroup.procs": "",
		"memory.max": "max\n", "memory.swap.max": "max\n", "cpu.max": "max 100000\n", "pids.max": "max\n", "cpu.weight": "",
		"memory.peak": "1048576\n", "cpu.stat": "usage_usec 2500\nuser_usec 1\n", "memory.events": "low 0\noom 3\noom_kill 2\n",
	}}
	if err := os.MkdirAll(filepath.Join(f.dir, "system.slice"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.fill(f.dir), f.mkdir(filepath.Join(f.dir, "system.slice", "dalamb.service"))); err != nil {
		t.Fatal(err)
	}
	m := &machine{
		mountInfo: fmt.Sprintf("35 24 0:30 / %s rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n", f.dir),
		self:      "0::/system.slice/dalamb.service\n", pid: "0", mkdir: f.mkdir,
	}
	c := m.cgroups("dalamb-x")
	for _, want := range []string{"memory", "cpu", "pids"} {
		if !c.has(want) {
			t.Errorf("controller %s is not found", want)
		}
	}
	parent := []string{"system.slice", "dalamb.service", "dalamb-x"}
	if got, want := f.read(t, append(parent, "cgroup.subtree_control")...), "+cpu +io +memory +pids"; got != want {
		t.Errorf("subtree_control = %q, want %q", got, want)
	}
	g, err := c.make("one")
	if err == nil {
		err = g.limit(spec())
	}
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		"memory.max": "67108864", "memory.swap.max": "0", "cpu.max": "50000 100000", "pids.max": "30",
	} {
		// A shorter write does not cut what the fake had there.
		if got := f.read(t, append(parent, "one", file)...); !strings.HasPrefix(got, want) {
			t.Errorf("%s = %q, want %q", file, got, want)
		}
	}
	if got, want := g.usage(), (runner.Usage{CPU: 2500 * time.Microsecond, MemoryPeak: 1 << 20}); got != want {
		t.Errorf("usage = %+v, want %+v", got, want)
	}
	if got := g.oomKills(); got != 2 {
		t.Errorf("oomKills = %d, want 2", got)
	}
	if v1, v2 := g.directories(); v1 != nil || v2 != filepath.Join(append([]string{f.dir}, append(parent, "one")...)...) {
		t.Errorf("directories = %q, %q; want the v2 one alone", v1, v2)
	}
	if left := c.left(); len(left) != 1 || left["one"] == nil {
		t.Errorf("left = %v, want the group one", left)
	}
	background(t, c)
	if one, two := f.read(t, append(parent, "one", "cpu.weight")...), f.read(t, append(parent, "two", "cpu.weight")...); one != "" || two != "10" {
		t.Errorf("cpu.weight = %q, and %q of what is in the background; want it not touched, and a tenth of 100", one, two)
	}
}

// background makes the group two, of a sandbox that has to leave others what they need.
func background(t *testing.T, c *cgroups) {
	t.Helper()
	s := spec()
	s.Background = true
	g, err := c.make("two")
	if err == nil {
		err = g.limit(s)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestCgroupsV2WithoutControllersIsNoUse(t *testing.T) {
	f := &fake{dir: t.TempDir(), files: map[string]string{"cgroup.controllers": "hugetlb\n", "cgroup.subtree_control": ""}}
	if err := f.fill(f.dir); err != nil {
		t.Fatal(err)
	}
	m := &machine{mountInfo: fmt.Sprintf("35 24 0:30 / %s rw - cgroup2 cgroup2 rw\n", f.dir), self: "0::/\n", mkdir: f.mkdir}
	if c := m.cgroups("dalamb-x"); c.parents != nil {
		t.Errorf("cgroups = %+v, want none", c.parents)
	}
	if left, _ := filepath.Glob(f.dir + "/dalamb*"); left != nil {
		t.Errorf("%v is left", left)
	}
}

func TestCgroupsV1(t *testing.T) {
	f := &fake{dir: t.TempDir(), files: map[string]string{
		"cgroup.procs": "", "memory.limit_in_bytes": "", "cpu.cfs_period_us": "", "cpu.cfs_quota_us": "", "pids.max": "", "cpu.shares": "",
		"memory.max_usage_in_bytes": "4096\n", "cpuacct.usage": "7000\n", "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
	}}
	for _, d := range []string{"memory/abc", "cpu,cpuacct", "pids"} {
		if err := os.MkdirAll(filepath.Join(f.dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// In a container the mount shows a part of the tree alone, and the path of a process begins above it.
	m := &machine{
		mountInfo: strings.ReplaceAll(`30 24 0:30 /docker DIR/memory rw - cgroup cgroup rw,memory
31 24 0:31 / DIR/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
32 24 0:32 / DIR/pids rw - cgroup cgroup rw,pids
33 24 0:33 / DIR/freezer rw - cgroup cgroup rw,freezer
`, "DIR", f.dir),
		self:  "5:pids:/\n4:cpu,cpuacct:/\n3:memory:/docker/abc\n2:freezer:/\n",
		mkdir: f.mkdir,
	}
	c := m.cgroups("dalamb-x")
	var dirs []string
	for _, h := range c.parents {
		rel, err := filepath.Rel(f.dir, h.dir)
		if err != nil {
			t.Fatal(err)
		}
		dirs = append(dirs, rel)
	}
	if want := []string{"memory/abc/dalamb-x", "cpu,cpuacct/dalamb-x", "pids/dalamb-x"}; !slices.Equal(dirs, want) {
		t.Fatalf("directories %v, want %v", dirs, want)
	}
	g, err := c.make("one")
	if err == nil {
		err = g.limit(spec())
	}
	if err != nil {
		t.Fatal(err)
	}
	want := []string{c.parents[0].dir + "/one", c.parents[1].dir + "/one", c.parents[2].dir + "/one"}
	if v1, v2 := g.directories(); !slices.Equal(v1, want) || v2 != "" {
		t.Errorf("directories = %q, %q; want %q", v1, v2, want)
	}
	for file, want := range map[string]string{
		"memory/abc/dalamb-x/one/memory.limit_in_bytes": "67108864", "cpu,cpuacct/dalamb-x/one/cpu.cfs_quota_us": "50000",
		"cpu,cpuacct/dalamb-x/one/cpu.cfs_period_us": "100000", "pids/dalamb-x/one/pids.max": "30",
	} {
		if got := f.read(t, file); got != want {
			t.Errorf("%s = %q, want %q", file, got, want)
		}
	}
	if got, want := g.usage(), (runner.Usage{CPU: 7000, MemoryPeak: 4096}); got != want {
		t.Errorf("usage = %+v, want %+v", got, want)
	}
	if got := g.oomKills(); got != 1 {
		t.Errorf("oomKills = %d, want 1", got)
	}
	background(t, c)
	if one, two := f.read(t, "cpu,cpuacct/dalamb-x/one/cpu.shares"), f.read(t, "cpu,cpuacct/dalamb-x/two/cpu.shares"); one != "" || two != "102" {
		t.Errorf("cpu.shares = %q, and %q of what is in the background; want it not touched, and a tenth of 1024", one, two)
	}
}

func TestCgroupsNotOurs(t *testing.T) {
	m := &machine{
		mountInfo: "30 24 0:30 / /none rw - cgroup cgroup rw,memory\n31 24 0:31 / /none rw - cgroup2 cgroup2 rw\nbroken\n",
		self:      "3:memory:/x\n0::/\n",
		mkdir:     func(string) error { return os.ErrPermission },
	}
	c := m.cgroups("dalamb-x")
	if c.parents != nil {
		t.Errorf("cgroups = %+v, want none", c.parents)
	}
	g, err := c.make("one")
	if err == nil {
		err = errors.Join(g.limit(spec()), g.remove())
	}
	if err != nil {
		t.Errorf("a group in no hierarchy: %v, want no error", err)
	}
}

func TestCgroupsV2RefusedByTheNodesOwnGroup(t *testing.T) {
	// A directory in place of subtree_control refuses writes, as a group with other processes does.
	f := &fake{dir: t.TempDir(), files: map[string]string{"cgroup.controllers": "memory\n", "cgroup.procs": ""}}
	if err := f.fill(f.dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(f.dir, "cgroup.subtree_control"), 0o755); err != nil {
		t.Fatal(err)
	}
	m := &machine{mountInfo: fmt.Sprintf("35 24 0:30 / %s rw - cgroup2 cgroup2 rw\n", f.dir), self: "0::/\n", pid: "42", mkdir: f.mkdir}
	if c := m.cgroups("dalamb-x"); c.parents != nil {
		t.Errorf("cgroups = %+v, want none", c.parents)
	}
	if got := f.read(t, "cgroup.procs"); got != "42" {
		t.Errorf("the node is in %q, want it back in its own group", got)
	}
}
