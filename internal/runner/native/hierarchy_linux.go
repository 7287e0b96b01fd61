package native

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// machine is what finding cgroups looks at; tests put directories of their own in its place.
type machine struct {
	mountInfo string // content of /proc/self/mountinfo
	self      string // content of /proc/self/cgroup
	pid       string // of the node
	disks     string // /sys/block
	mkdir     func(path string) error
}

func thisMachine() (*machine, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	self, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	return &machine{string(mounts), string(self), "0", "/sys/block", func(p string) error { return os.Mkdir(p, 0o755) }}, nil
}

// cgroups makes the directory name in each hierarchy where we may, below the node's own group, so that limits on the node hold
// for its functions too. v1, v2 and both beside each other (hybrid) are all the same here: a controller is in one of them.
func (m *machine) cgroups(name string) *cgroups {
	c := &cgroups{mkdir: m.mkdir}
	for _, mnt := range m.mounts() {
		if mnt.v2 {
			if h, ok := m.enter2(mnt, name); ok {
				c.parents = append(c.parents, h)
			}
			continue
		}
		if slices.Equal(mnt.controllers, []string{diskTime}) {
			c.disk = m.enterDisk(mnt, name)
			continue
		}
		if h, ok := m.enter1(mnt, name); ok {
			c.parents = append(c.parents, h)
		}
	}
	c.frost = m.frost(c, name)
	return c
}

// nodeGroup is the cgroup that a node moves itself to.
const nodeGroup = "dalamb-node"

// mount is one mounted hierarchy.
type mount struct {
	root, point string
	v2          bool
	controllers []string
}

// mounts reads the lines "id parent dev root point options ... - type source super-options". // proc_pid_mountinfo(5)
func (m *machine) mounts() []mount {
	var all []mount
	for line := range strings.Lines(m.mountInfo) {
		front, back, ok := strings.Cut(line, " - ")
		f, b := strings.Fields(front), strings.Fields(back)
		if !ok || len(f) < 5 || len(b) < 3 {
			continue
		}
		mnt := mount{root: f[3], point: f[4]}
		switch b[0] {
		case "cgroup2":
			mnt.v2 = true
		case "cgroup":
			for _, o := range strings.Split(b[2], ",") {
				if slices.Contains([]string{"memory", "cpu", "cpuacct", "pids", diskTime}, o) {
					mnt.controllers = append(mnt.controllers, o)
				}
			}
			if mnt.controllers == nil {
				continue
			}
		default:
			continue
		}
		all = append(all, mnt)
	}
	return all
}

// own is the directory of the node's own group. // cgroups(7), /proc/PID/cgroup
func (m *machine) own(mnt mount) string {
	for line := range strings.Lines(m.self) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		match := mnt.v2 && f[0] == "0" && f[1] == ""
		for _, c := range mnt.controllers {
			match = match || slices.Contains(strings.Split(f[1], ","), c)
		}
		if !match {
			continue
		}
		group := strings.TrimSuffix(f[2], "/"+nodeGroup) // where moveDown of an earlier runner put us
		if below, err := filepath.Rel(mnt.root, group); err == nil && !strings.HasPrefix(below, "..") {
			return filepath.Join(mnt.point, below)
		}
	}
	return mnt.point
}

func (m *machine) enter1(mnt mount, name string) (hierarchy, bool) {
	h := hierarchy{dir: filepath.Join(m.own(mnt), name), controllers: mnt.controllers}
	err := m.mkdir(h.dir)
	return h, err == nil || errors.Is(err, fs.ErrExist)
}

// diskTime is the v1 controller that shares out the time of disks.
const diskTime = "blkio"

// enterDisk makes the group in which all functions together have half the weight that others have at a disk: the log's own writes come before
// those of functions. It is one for all, so that it takes no time of a start. nil = the schedulers of this machine's disks know no weights.
func (m *machine) enterDisk(mnt mount, name string) *hierarchy {
	h, ok := m.enter1(mnt, name)
	if !ok {
		return nil
	}
	if h.weight = h.lighten("blkio.bfq.weight", "50", "blkio.weight", "250"); h.weight != "" { // defaults: 100 with BFQ, 500 with CFQ
		return &h
	}
	_ = syscall.Rmdir(h.dir)
	return nil
}

// enter2 tries the node's own group and then the root of the tree. In v2 a group with processes cannot have groups with limits
// below it, but for the root; a node whose group was delegated to it alone moves itself one down. // cgroup-v2, "No Internal Process Constraint"
func (m *machine) enter2(mnt mount, name string) (hierarchy, bool) {
	own := m.own(mnt)
	for _, base := range slices.Compact([]string{own, mnt.point}) {
		b := hierarchy{dir: base, v2: true}
		h := hierarchy{dir: filepath.Join(base, name), v2: true, controllers: b.offered()}
		if h.controllers == nil {
			continue
		}
		if err := m.mkdir(h.dir); err != nil && !errors.Is(err, fs.ErrExist) {
			continue
		}
		if b.enable(h.controllers) == nil || m.moveDown(b, h.controllers) == nil {
			if h.enable(h.controllers) == nil {
				// The log's own writes come before those of functions; among each other these are equal. // io.weight and BFQ's own, default 100
				h.weight = h.lighten("io.bfq.weight", "50", "io.weight", "50")
				return h, true
			}
		}
		_ = syscall.Rmdir(h.dir) // of no use here; the next base is tried
	}
	return hierarchy{}, false
}

// offered are those of our controllers that the group could give to its children.
func (h *hierarchy) offered() []string {
	b, err := os.ReadFile(filepath.Join(h.dir, "cgroup.controllers"))
	if err != nil {
		return nil
	}
	var got []string
	for _, c := range strings.Fields(string(b)) {
		if slices.Contains([]string{"memory", "cpu", "pids", "io"}, c) {
			got = append(got, c)
		}
	}
	return got
}

func (h *hierarchy) enable(controllers []string) error {
	return h.writeText("cgroup.subtree_control", "+"+strings.Join(controllers, " +"))
}

// moveDown makes a group for the node itself below b, so that b has no processes of its own.
func (m *machine) moveDown(b hierarchy, controllers []string) error {
	node := hierarchy{dir: filepath.Join(b.dir, nodeGroup), v2: true}
	if err := m.mkdir(node.dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := node.writeText("cgroup.procs", m.pid); err != nil {
		return err
	}
	err := b.enable(controllers)
	if err != nil { // others are in it: back to where we were
		return errors.Join(err, b.writeText("cgroup.procs", m.pid), syscall.Rmdir(node.dir))
	}
	return nil
}
