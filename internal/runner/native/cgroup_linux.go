package native

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dalamb/dalamb/internal/runner"
	"github.com/dalamb/dalamb/internal/runner/native/inside"
)

// initThreads is how many threads of the sandbox's init are let into its limit of processes.
const initThreads = 10

// cgroups is where the groups of this runner's sandboxes are made: below one directory per hierarchy.
type cgroups struct {
	parents []hierarchy
	frost   *frost     // nil = nothing can be frozen
	disk    *hierarchy // a v1 group for all sandboxes together, with a weight; nil = none
	mkdir   func(path string) error
}

// hierarchy is one tree of cgroups that has controllers we use.
type hierarchy struct {
	dir         string // our directory in it, the parent of the sandboxes' groups
	v2          bool
	controllers []string // of memory, cpu, pids, cpuacct, io
	weight      string   // the files, one or two, in which all sandboxes together got their weight at disks; "" = none
}

func (c *cgroups) has(controller string) bool {
	return slices.ContainsFunc(c.parents, func(h hierarchy) bool { return slices.Contains(h.controllers, controller) })
}

// group is one sandbox's cgroup, in each hierarchy.
type group struct {
	name  string
	in    []hierarchy // dir is the group's own
	frost *frost      // see frost_linux.go
	mkdir func(path string) error
	last  runner.Usage
}

// make makes a group without limits.
func (c *cgroups) make(name string) (*group, error) {
	g := &group{name: name, frost: c.frost, mkdir: c.mkdir}
	for _, h := range c.parents {
		h.dir = filepath.Join(h.dir, name)
		if err := c.mkdir(h.dir); err != nil {
			return nil, errors.Join(fmt.Errorf("make cgroup: %w", err), g.remove())
		}
		g.in = append(g.in, h)
	}
	return g, nil
}

// limit sets the limits of s.
func (g *group) limit(s *runner.Spec) error {
	for _, h := range g.in {
		if err := h.limit(s); err != nil {
			return fmt.Errorf("limit cgroup: %w", err)
		}
	}
	return nil
}

func (h *hierarchy) limit(s *runner.Spec) error {
	const period = 100_000 // microseconds
	quota := max(int64(s.CPU*period), 1000)
	for _, c := range h.controllers {
		var err error
		switch {
		case c == "memory" && s.Memory > 0 && h.v2:
			// All of a function ends when it has no more memory, whichever of its processes the kernel would choose.
			err = errors.Join(h.write("memory.max", s.Memory), h.writeIfThere("memory.swap.max", 0), h.writeIfThere("memory.oom.group", 1))
		case c == "memory" && s.Memory > 0:
			// memsw counts memory and swap together: the same figure means no swap.
			err = errors.Join(h.write("memory.limit_in_bytes", s.Memory), h.writeIfThere("memory.memsw.limit_in_bytes", s.Memory))
		case c == "cpu" && s.CPU > 0 && h.v2:
			err = h.writeText("cpu.max", fmt.Sprintf("%d %d", quota, period))
		case c == "cpu" && s.CPU > 0:
			err = errors.Join(h.write("cpu.cfs_period_us", period), h.write("cpu.cfs_quota_us", quota))
		case c == "pids" && s.PIDs > 0:
			err = h.write("pids.max", int64(s.PIDs)+initThreads)
		}
		if c == "cpu" && s.Background {
			// A tenth of what a group has that nobody said anything of. // cgroup-v2.rst, cpu.weight; sched-design-CFS.rst, cpu.shares
			err = errors.Join(err, h.writeIfThere("cpu.weight", 10), h.writeIfThere("cpu.shares", 102))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// directories are where a process is put into the group: in each v1 hierarchy, and in the v2 one.
func (g *group) directories() (v1 []string, v2 string) {
	for _, h := range g.in {
		if h.v2 {
			v2 = h.dir
		} else {
			v1 = append(v1, h.dir)
		}
	}
	return v1, v2
}

// join puts a process into the group.
func (g *group) join(pid int) error {
	for _, h := range g.in {
		if err := h.write("cgroup.procs", int64(pid)); err != nil {
			return fmt.Errorf("join cgroup: %w", err)
		}
	}
	return nil
}

// usage reads what the group has used; what it cannot read it gives as it was before.
func (g *group) usage() runner.Usage {
	for _, h := range g.in {
		if h.v2 {
			if us, ok := h.field("cpu.stat", "usage_usec"); ok {
				g.last.CPU = time.Duration(us) * time.Microsecond
			}
			if peak, ok := h.number("memory.peak"); ok { // since Linux 5.19
				g.last.MemoryPeak = peak
			} else if now, ok := h.number("memory.current"); ok {
				g.last.MemoryPeak = max(g.last.MemoryPeak, now)
			}
			continue
		}
		if ns, ok := h.number("cpuacct.usage"); ok {
			g.last.CPU = time.Duration(ns)
		}
		if peak, ok := h.number("memory.max_usage_in_bytes"); ok {
			g.last.MemoryPeak = peak
		}
	}
	return g.last
}

// oomKills is how many processes the group's memory limit has killed.
func (g *group) oomKills() int64 {
	for _, h := range g.in {
		file := "memory.oom_control"
		if h.v2 {
			file = "memory.events"
		}
		if n, ok := h.field(file, "oom_kill"); ok {
			return n
		}
	}
	return 0
}

// remove takes the group away, when its last process is gone. The kernel may need a moment after the last one was reaped.
func (g *group) remove() error {
	var errs []error
	if g.frost != nil {
		errs = append(errs, removeGroup(g.frostDir()))
	}
	for _, h := range g.in {
		errs = append(errs, removeGroup(h.dir))
	}
	return errors.Join(errs...)
}

func removeGroup(dir string) error {
	const tries, pause = 200, 5 * time.Millisecond
	for i := 0; ; i++ {
		err := syscall.Rmdir(dir)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if !errors.Is(err, syscall.EBUSY) || i == tries {
			return fmt.Errorf("remove cgroup %s: %w", dir, err)
		}
		time.Sleep(pause)
	}
}

// ours are our directories in each hierarchy.
func (c *cgroups) ours() []hierarchy {
	all := slices.Clone(c.parents)
	if c.frost != nil && !c.frost.within {
		all = append(all, c.frost.hierarchy)
	}
	if c.disk != nil {
		all = append(all, *c.disk)
	}
	return all
}

// left lists the groups that are there, by name.
func (c *cgroups) left() map[string]*group {
	all := make(map[string]*group)
	for _, h := range c.ours() {
		entries, _ := os.ReadDir(h.dir) // not there: nothing is left
		for _, e := range entries {
			if !e.IsDir() {
				continue
			}
			if all[e.Name()] == nil {
				all[e.Name()] = &group{name: e.Name()}
			}
			one := h
			one.dir = filepath.Join(h.dir, e.Name())
			within := one // goes first: it is inside of the other
			within.dir = filepath.Join(one.dir, frostName)
			all[e.Name()].in = append(all[e.Name()].in, within, one)
		}
	}
	return all
}

// kill kills what is in the group.
func (g *group) kill() {
	for _, h := range g.in {
		if h.v2 && h.write("cgroup.kill", 1) == nil { // since Linux 5.14; what is being forked ends too
			continue
		}
		pids, _ := h.processes() // not there: nothing is left
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL) // gone already is what we want
		}
	}
}

// removeParents takes our directories away when no group is left in them.
func (c *cgroups) removeParents() error {
	var errs []error
	for _, h := range c.ours() {
		errs = append(errs, removeGroup(h.dir))
	}
	return errors.Join(errs...)
}

func (h *hierarchy) write(file string, n int64) error {
	return h.writeText(file, strconv.FormatInt(n, 10))
}

// writeText is on the way of every cold start: an os.File would be made known to Go's poller first, which takes as long as the write.
// A signal ends the write of a version 1 memory limit.
func (h *hierarchy) writeText(file, text string) error {
	path := filepath.Join(h.dir, file)
	var fd int
	err := inside.Again(func() (err error) {
		fd, err = unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	err = inside.Again(func() error {
		_, err := unix.Write(fd, []byte(text))
		return err
	})
	if err != nil {
		err = &fs.PathError{Op: "write", Path: path, Err: err}
	}
	return errors.Join(err, unix.Close(fd))
}

func (h *hierarchy) writeIfThere(file string, n int64) error {
	err := h.write(file, n)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (h *hierarchy) number(file string) (int64, bool) {
	b, err := os.ReadFile(filepath.Join(h.dir, file))
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(string(bytes.TrimSpace(b)), 10, 64)
	return n, err == nil
}

// field reads one of the "name number" lines of a file.
func (h *hierarchy) field(file, name string) (int64, bool) {
	b, err := os.ReadFile(filepath.Join(h.dir, file))
	if err != nil {
		return 0, false
	}
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		if v, ok := strings.CutPrefix(s.Text(), name+" "); ok {
			n, err := strconv.ParseInt(v, 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}
