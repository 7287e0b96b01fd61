package doctor

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Machine is what is looked at; tests put other things in place of the real ones.
type Machine struct {
	Root  string // where proc and etc are; "" = /
	Data  string // the data directory, or where it will be
	UID   int
	Limit uint64 // of open files, as far as it can be raised

	Kernel string                                           // as uname -r tells it
	Space  func(dir string) (free, total uint64, err error) // bytes
	Inodes func(dir string) (free, total uint64, err error)
	Synced func() (bool, error) // whether something keeps the clock right
	Now    time.Time
}

// This is the machine that this process is on.
func This(data string) (*Machine, error) {
	m := &Machine{Root: "/", Data: data, UID: os.Geteuid(), Now: time.Now(), Synced: synced}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return nil, fmt.Errorf("find the kernel's version: %w", err)
	}
	m.Kernel = unix.ByteSliceToString(u.Release[:])
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return nil, fmt.Errorf("find the limit of open files: %w", err)
	}
	m.Limit = l.Max
	m.Space = func(dir string) (uint64, uint64, error) {
		var s unix.Statfs_t
		err := unix.Statfs(dir, &s)
		return s.Bavail * uint64(s.Bsize), s.Blocks * uint64(s.Bsize), err
	}
	m.Inodes = func(dir string) (uint64, uint64, error) {
		var s unix.Statfs_t
		err := unix.Statfs(dir, &s)
		return s.Ffree, s.Files, err
	}
	return m, nil
}

// synced asks the kernel, which does not believe in a clock that nobody has set for long. // adjtimex(2)
func synced() (bool, error) {
	state, err := unix.Adjtimex(&unix.Timex{})
	return state != unix.TIME_ERROR, err
}

// Look makes the findings.
func (m *Machine) Look() []Finding {
	return []Finding{m.kernel(), m.user(), m.namespaces(), m.userNamespaces(), m.seccomp(), m.cgroups(), m.overlay(), m.idMapped(), m.subIDs(), m.buildah(),
		m.space(), m.inodes(), m.files(), m.clock()}
}

func (m *Machine) read(path string) string {
	b, _ := os.ReadFile(filepath.Join(m.Root, path)) // not there is an answer
	return string(b)
}

func (m *Machine) atLeast(major, minor int) bool {
	var a, b int
	n, _ := fmt.Sscanf(m.Kernel, "%d.%d", &a, &b)
	return n == 2 && (a > major || a == major && b >= minor)
}

func (m *Machine) kernel() Finding {
	if !m.atLeast(5, 14) {
		return Lacking(Missing, "kernel", "use Linux 5.14 or newer, or run functions without isolation: --runner process", "Linux %s, too old to fence functions", m.Kernel)
	}
	return Good("kernel", "Linux %s", m.Kernel)
}

func (m *Machine) user() Finding {
	if m.UID == 0 {
		return Good("user", "root: functions get users of their own and, where cgroups allow it, all limits")
	}
	return Lacking(Warning, "user", "start the node as root, or have a systemd service with Delegate=yes for limits",
		"user %d: functions run as this user behind namespaces, and limits need cgroups that were delegated to it", m.UID)
}

func (m *Machine) namespaces() Finding {
	var none []string
	for _, ns := range []string{"user", "mnt", "pid", "net", "ipc", "uts", "cgroup"} {
		if _, err := os.Lstat(filepath.Join(m.Root, "proc/self/ns", ns)); err != nil {
			none = append(none, ns)
		}
	}
	if none != nil {
		return Lacking(Missing, "namespaces", "use a kernel that is built with them (CONFIG_NAMESPACES and its parts)", "the kernel has none of the kind %s", strings.Join(none, ", "))
	}
	return Good("namespaces", "user, mnt, pid, net, ipc, uts, cgroup")
}

// userNamespaces are switched off in three ways. // user_namespaces(7), Debian's and Ubuntu's kernels
func (m *Machine) userNamespaces() Finding {
	for _, s := range []struct{ key, off, on string }{
		{"user/max_user_namespaces", "0", "10000"},
		{"kernel/unprivileged_userns_clone", "0", "1"},
		{"kernel/apparmor_restrict_unprivileged_userns", "1", "0"},
	} {
		if strings.TrimSpace(m.read("proc/sys/"+s.key)) != s.off || m.UID == 0 && s.on != "10000" {
			continue
		}
		key := strings.ReplaceAll(s.key, "/", ".")
		return Lacking(Missing, "user namespaces", fmt.Sprintf("sysctl -w %s=%s, and the same in /etc/sysctl.d", key, s.on), "switched off: %s is %s", key, s.off)
	}
	return Good("user namespaces", "this user may make them")
}

func (m *Machine) seccomp() Finding {
	if !strings.Contains(m.read("proc/self/status"), "\nSeccomp:") {
		return Lacking(Missing, "seccomp", "use a kernel that is built with CONFIG_SECCOMP_FILTER", "the kernel cannot filter system calls")
	}
	return Good("seccomp", "system calls are filtered")
}

// cgroups says how they are laid out; which limits a node gets from them, its runner tells.
func (m *Machine) cgroups() Finding {
	var one []string
	two := ""
	for s := bufio.NewScanner(strings.NewReader(m.read("proc/self/mountinfo"))); s.Scan(); {
		front, back, _ := strings.Cut(s.Text(), " - ")
		f, b := strings.Fields(front), strings.Fields(back)
		switch {
		case len(f) < 5 || len(b) < 3:
		case b[0] == "cgroup2":
			two = f[4]
		case b[0] == "cgroup":
			for _, c := range []string{"memory", "cpu", "pids"} {
				if slices.Contains(strings.Split(b[2], ","), c) {
					one = append(one, c)
				}
			}
		}
	}
	slices.Sort(one)
	switch {
	case one == nil && two == "":
		return Lacking(Warning, "cgroups", "mount them: mount -t cgroup2 cgroup2 /sys/fs/cgroup", "none are mounted: memory, cpu and processes are not limited by the kernel")
	case one == nil:
		return Good("cgroups", "version 2, with %s", strings.Join(strings.Fields(m.read(filepath.Join(two, "cgroup.controllers"))), ", "))
	case two == "":
		return Good("cgroups", "version 1, with %s", strings.Join(one, ", "))
	}
	return Good("cgroups", "hybrid: version 1 with %s, version 2 at %s", strings.Join(one, ", "), two)
}

func (m *Machine) overlay() Finding {
	if !strings.Contains(m.read("proc/filesystems"), "\toverlay\n") {
		return Lacking(Warning, "overlayfs", "modprobe overlay", "not loaded: functions from container images cannot start")
	}
	return Good("overlayfs", "layers of images can be mounted")
}

// buildah says whether functions can be built from a Dockerfile.
func (m *Machine) buildah() Finding {
	if info, err := os.Stat(filepath.Join(m.Root, "usr/bin/buildah")); err != nil || info.IsDir() {
		return Good("buildah", "not installed; who builds functions from a Dockerfile needs it: apt-get install buildah")
	}
	return Good("buildah", "functions can be built from a Dockerfile")
}

func (m *Machine) idMapped() Finding {
	switch {
	case m.UID != 0:
		return Good("idmapped mounts", "not used: an ordinary user's sandboxes have one user")
	case !m.atLeast(5, 19):
		return Lacking(Warning, "idmapped mounts", "use Linux 5.19 or newer", "not below overlayfs in Linux %s: files of images are shown as nobody's", m.Kernel)
	}
	return Good("idmapped mounts", "files of images keep their owners")
}

func (m *Machine) subIDs() Finding {
	if m.UID == 0 {
		return Good("subordinate ids", "not needed: root gives each instance ids from sandbox.ids")
	}
	names := []string{strconv.Itoa(m.UID)}
	for line := range strings.Lines(m.read("etc/passwd")) {
		if f := strings.Split(line, ":"); len(f) > 2 && f[2] == names[0] { // passwd(5)
			names = append(names, f[0])
		}
	}
	for line := range strings.Lines(m.read("etc/subuid")) {
		if owner, _, _ := strings.Cut(line, ":"); slices.Contains(names, owner) {
			return Good("subordinate ids", "%s; sandboxes of an ordinary user do not use them", strings.TrimSpace(line))
		}
	}
	return Good("subordinate ids", "none; sandboxes of an ordinary user do not use them")
}

// place is the data directory, or what is there of the way to it.
func (m *Machine) place() string {
	for dir := m.Data; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			return dir
		}
	}
}

// space holds the free space against what the embedded log wants.
func (m *Machine) space() Finding {
	const name, remedy = "disk space", "free some, or put the data directory on a larger disk: --data"
	free, total, err := m.Space(m.place())
	text := fmt.Sprintf("%s of %s free at %s", size(free), size(total), m.place())
	switch {
	case err != nil:
		return Lacking(Missing, name, "choose a data directory on a disk that can be read: --data", "%v", err)
	case free < 256<<20:
		return Lacking(Missing, name, remedy, "%s: too little for events", text)
	case free < 1<<30 || free < total/20:
		return Lacking(Warning, name, remedy, "%s: too little for logs and request bodies", text)
	}
	return Good(name, "%s", text)
}

func (m *Machine) inodes() Finding {
	free, total, err := m.Inodes(m.place())
	switch {
	case err != nil:
		return Lacking(Missing, "inodes", "choose a data directory on a disk that can be read: --data", "%v", err)
	case total > 0 && free < total/20: // some file systems have no fixed number of them, and say 0
		return Lacking(Warning, "inodes", "remove small files, or put the data directory on another file system: --data", "%d of %d free", free, total)
	}
	return Good("inodes", "%d of %d free", free, total)
}

func (m *Machine) files() Finding {
	const least = 16384
	if m.Limit < least {
		return Lacking(Warning, "open files", "raise it: ulimit -Hn 65536, or LimitNOFILE=65536 in a systemd service", "this process may have %d: too few for many instances and connections", m.Limit)
	}
	return Good("open files", "this process may have %d", m.Limit)
}

func (m *Machine) clock() Finding {
	const name, remedy = "clock", "keep it right: systemctl enable --now systemd-timesyncd, or chrony"
	if m.Now.Year() < 2025 {
		return Lacking(Missing, name, remedy, "it says %s, which is long ago", m.Now.Format(time.DateOnly))
	}
	if ok, err := m.Synced(); err != nil || !ok {
		return Lacking(Warning, name, remedy, "the kernel does not know that anything keeps it right: schedules, retention and ages of events follow it")
	}
	return Good(name, "kept right")
}

func size(n uint64) string {
	if n >= 1<<30 {
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	}
	return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20))
}
