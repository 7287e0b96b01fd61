package native

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/runner"
)

// lighten writes weights into those of the files that are there, given as file, weight, file, weight, and says which these are.
func (h *hierarchy) lighten(pairs ...string) string {
	var written []string
	for pair := range slices.Chunk(pairs, 2) {
		if h.writeText(pair[0], pair[1]) == nil {
			written = append(written, pair[0])
		}
	}
	return strings.Join(written, " and ")
}

// delegated is how a node that is no root gets groups.
const delegated = "start the node as root, or as a systemd service with Delegate=yes (systemd-run --user --scope -p Delegate=yes dalamb up)"

// freezing says whether idle functions are held still, and why not. // cgroup-v2, cgroup.freeze
func (m *machine) freezing(c *cgroups) runner.Aid {
	if c.frost != nil {
		return runner.Aid{Given: true, Detail: "idle functions are held still, by cgroup version 2 at " + c.frost.dir}
	}
	const idle = "idle functions are not held still: what they do between calls takes CPU"
	two := ""
	for _, mnt := range m.mounts() {
		if mnt.v2 {
			two = mnt.point
		}
	}
	switch {
	case two == "":
		return runner.Aid{Detail: idle + ", since no cgroup version 2 is mounted", Remedy: "mount it beside version 1: mkdir -p /sys/fs/cgroup/unified && mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified"}
	case len(c.parents) == 0:
		return runner.Aid{Detail: fmt.Sprintf("%s, since this user may make no cgroups with limits (version 2 is at %s)", idle, two), Remedy: delegated}
	}
	return runner.Aid{Detail: fmt.Sprintf("%s, since no group can be made at %s that has cgroup.freeze", idle, two), Remedy: delegated + "; cgroup.freeze needs Linux 5.2 or newer"}
}

// diskWeight says whether functions have half the weight of others at disks, and why not. // cgroup-v2, io.weight; cgroup-v1, blkio
func (m *machine) diskWeight(c *cgroups) runner.Aid {
	const even = "functions and the log have the same weight at disks"
	weight := ""
	for _, h := range c.ours() {
		if h.weight != "" {
			weight = h.weight
		}
	}
	disks, heeding := m.schedulers()
	switch remedy := "echo bfq >/sys/block/DISK/queue/scheduler (modprobe bfq before), and the same in a udev rule"; {
	case weight != "" && heeding != "":
		return runner.Aid{Given: true, Detail: fmt.Sprintf("functions have half the weight of others (%s): %s", weight, heeding)}
	case weight != "":
		return runner.Aid{Detail: fmt.Sprintf("%s: half of it is set for functions (%s), and no disk here has a scheduler that looks at it (%s)", even, weight, disks), Remedy: remedy}
	case len(c.parents) > 0 && (c.has("io") || m.mountedV1(diskTime)):
		return runner.Aid{Detail: fmt.Sprintf("%s: the kernel's schedulers of disks know none (%s)", even, disks), Remedy: remedy}
	}
	return runner.Aid{Detail: even + ": neither the controller io of cgroup version 2 nor blkio of version 1 is this node's to use", Remedy: delegated}
}

// mountedV1 says whether there is a version 1 tree of a controller alone.
func (m *machine) mountedV1(controller string) bool {
	return slices.ContainsFunc(m.mounts(), func(mnt mount) bool { return !mnt.v2 && slices.Equal(mnt.controllers, []string{controller}) })
}

// schedulers says which scheduler each disk has, and which of them look at weights. // Documentation/block/switching-sched.rst
func (m *machine) schedulers() (all, heeding string) {
	var has, heeds []string
	files, _ := filepath.Glob(filepath.Join(m.disks, "*", "queue", "scheduler")) // the pattern is right
	for _, file := range files {
		b, err := os.ReadFile(file)
		_, chosen, found := strings.Cut(string(b), "[")
		chosen, _, _ = strings.Cut(chosen, "]")
		disk := filepath.Base(filepath.Dir(filepath.Dir(file)))
		if err != nil || !found || strings.HasPrefix(disk, "loop") || strings.HasPrefix(disk, "ram") || strings.HasPrefix(disk, "zram") {
			continue
		}
		has = append(has, disk+" has "+chosen)
		if chosen == "bfq" || chosen == "cfq" {
			heeds = append(heeds, disk+" has "+chosen)
		}
	}
	if has == nil {
		has = []string{"no disk tells"}
	}
	return strings.Join(has, ", "), strings.Join(heeds, ", ")
}
