package native

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/dalamb/dalamb/internal/fault"
)

// frostName is the group of a sandbox's frozen processes where it is made within the sandbox's own group.
const frostName = "frozen"

// frostPasses bounds how often new processes of a function are looked for before it is frozen.
const frostPasses = 16

// frost is where groups are made whose processes can be frozen. They hold what a function runs and never its init: an init has to see
// that its node died, and to tell its function to end.
//
// Processes are moved there when they are frozen for the first time, since a start is not to wait for it and most instances of a burst
// never are idle for long.
type frost struct {
	hierarchy
	within bool // below the sandbox's own group in this hierarchy; else below a directory of ours
}

// frost finds where to freeze: in cgroup v2 wherever it is mounted, with or without controllers. The v1 freezer is no substitute: what it
// has frozen cannot even be killed, and would outlive a killed node. nil = nowhere. c is complete but for this.
func (m *machine) frost(c *cgroups, name string) *frost {
	for _, h := range c.parents {
		if h.v2 {
			return &frost{h, true}
		}
	}
	if len(c.parents) == 0 {
		return nil // nothing says which processes are a sandbox's
	}
	for _, mnt := range m.mounts() {
		if !mnt.v2 {
			continue
		}
		h := hierarchy{dir: filepath.Join(m.own(mnt), name), v2: true}
		if err := m.mkdir(h.dir); err != nil && !errors.Is(err, fs.ErrExist) {
			continue
		}
		if _, err := os.Stat(filepath.Join(h.dir, freezeFile)); err == nil {
			return &frost{hierarchy: h}
		}
		_ = syscall.Rmdir(h.dir) // before Linux 5.2
	}
	return nil
}

// freezeFile is where the kernel is told to freeze a group. // cgroup-v2, cgroup.freeze
const freezeFile = "cgroup.freeze"

// hold freezes or thaws what is in the group.
func (h *hierarchy) hold(on bool) error {
	if on {
		return h.write(freezeFile, 1)
	}
	return h.write(freezeFile, 0)
}

// processes lists what is in the group itself.
func (h *hierarchy) processes() ([]int, error) {
	b, err := os.ReadFile(filepath.Join(h.dir, "cgroup.procs"))
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, f := range strings.Fields(string(b)) {
		if pid, err := strconv.Atoi(f); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// frozen is one sandbox's place in the frost.
type frozen struct {
	mu   sync.Mutex // held while files of the group are written
	at   *hierarchy // made; nil = it never was frozen
	over bool       // the sandbox is ending
}

// Freeze implements runner.Freezer.
func (sb *sandbox) Freeze(on bool) error {
	f := &sb.frozen
	f.mu.Lock()
	defer f.mu.Unlock()
	g := sb.nest.group
	switch {
	case g.frost == nil:
		return fault.New(fault.Unavailable, "freeze instance %s: no cgroup is ours to use: %w", sb.spec.ID, errors.ErrUnsupported)
	case f.over:
		return nil
	case !on:
		return f.thaw()
	}
	if f.at == nil {
		at, err := g.makeFrost()
		if err != nil {
			return fmt.Errorf("freeze instance %s: %w", sb.spec.ID, err)
		}
		f.at = at
	}
	err := f.at.hold(true) // first: what is moved starts nothing more then
	if err == nil {
		err = g.gather(f.at, sb.nest.init.PID)
	}
	if err != nil {
		return fmt.Errorf("freeze instance %s: %w", sb.spec.ID, errors.Join(err, f.thaw()))
	}
	return nil
}

func (f *frozen) thaw() error {
	if f.at == nil {
		return nil
	}
	return f.at.hold(false)
}

// end thaws for good: a frozen process hears no signal but SIGKILL.
func (f *frozen) end() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
	err := f.thaw()
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENODEV) {
		return nil // its group is gone, with all that was in it
	}
	return err
}

// makeFrost makes the group for what will be frozen.
func (g *group) makeFrost() (*hierarchy, error) {
	h := g.frost.hierarchy
	h.dir = g.frostDir()
	if err := g.mkdir(h.dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("make cgroup: %w", err)
	}
	return &h, nil
}

func (g *group) frostDir() string {
	dir := filepath.Join(g.frost.dir, g.name)
	if g.frost.within {
		dir = filepath.Join(dir, frostName)
	}
	return dir
}

// gather moves all of the sandbox but its init to where it is frozen. It looks again until it sees nothing new: one that it has
// seen and could not move has ended, and is listed for as long as its parent, frozen, does not reap it.
func (g *group) gather(to *hierarchy, init int) error {
	seen := map[int]bool{init: true}
	for range frostPasses {
		all, err := g.in[0].processes()
		if err != nil {
			return err
		}
		there, err := to.processes()
		if err != nil {
			return err
		}
		fresh := false
		for _, pid := range all {
			if seen[pid] || slices.Contains(there, pid) {
				continue
			}
			seen[pid], fresh = true, true
			if err := to.write("cgroup.procs", int64(pid)); err != nil && !errors.Is(err, syscall.ESRCH) {
				return err
			}
		}
		if !fresh {
			return nil
		}
	}
	return errors.New("it starts processes faster than they can be moved")
}
