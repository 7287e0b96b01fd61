package doctor

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// machine is one that has everything.
func machine(t *testing.T) *Machine {
	t.Helper()
	m := &Machine{
		Root: t.TempDir(), Data: t.TempDir(), Kernel: "6.1.0-13-amd64", Limit: 65536, Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		Space:  func(string) (uint64, uint64, error) { return 50 << 30, 100 << 30, nil },
		Inodes: func(string) (uint64, uint64, error) { return 500, 1000, nil },
		Synced: func() (bool, error) { return true, nil },
	}
	for path, text := range map[string]string{
		"proc/self/status": "Name:\tx\nSeccomp:\t0\n", "proc/filesystems": "nodev\tproc\nnodev\toverlay\n",
		"proc/sys/user/max_user_namespaces": "1000\n", "etc/subuid": "me:100000:65536\n",
		"proc/self/mountinfo":              "35 24 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
		"sys/fs/cgroup/cgroup.controllers": "cpu io memory pids\n",
	} {
		write(t, m, path, text)
	}
	for _, ns := range []string{"user", "mnt", "pid", "net", "ipc", "uts", "cgroup"} {
		write(t, m, "proc/self/ns/"+ns, "")
	}
	return m
}

func write(t *testing.T, m *Machine, path, text string) {
	t.Helper()
	path = filepath.Join(m.Root, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestBuildahIsNamedWhereItIsMissing(t *testing.T) {
	m := machine(t)
	if f := m.buildah(); f.State != OK || !strings.Contains(f.Detail, "apt-get install buildah") {
		t.Errorf("without it the finding is %+v, want one that is ok and names the package", f)
	}
	write(t, m, "usr/bin/buildah", "")
	if f := m.buildah(); f.State != OK || !strings.Contains(f.Detail, "can be built") {
		t.Errorf("with it the finding is %+v", f)
	}
}

func TestLook(t *testing.T) {
	for _, c := range []struct {
		name   string
		spoil  func(t *testing.T, m *Machine)
		what   string // the finding that is not ok; "" = all are
		state  State
		detail string
		remedy string
	}{
		{"everything", func(*testing.T, *Machine) {}, "", OK, "", ""},
		{"old kernel", func(_ *testing.T, m *Machine) { m.Kernel = "5.10.0-28" }, "kernel", Missing, "5.10.0-28", "5.14"},
		{"kernel that says nothing", func(_ *testing.T, m *Machine) { m.Kernel = "x" }, "kernel", Missing, "x", "5.14"},
		{"ordinary user", func(_ *testing.T, m *Machine) { m.UID = 1000 }, "user", Warning, "user 1000", "root"},
		{"no network namespaces", func(t *testing.T, m *Machine) {
			if err := os.Remove(filepath.Join(m.Root, "proc/self/ns/net")); err != nil {
				t.Fatal(err)
			}
		}, "namespaces", Missing, "net", "CONFIG_NAMESPACES"},
		{"user namespaces off", func(t *testing.T, m *Machine) { write(t, m, "proc/sys/user/max_user_namespaces", "0\n") }, "user namespaces", Missing, "user.max_user_namespaces is 0", "sysctl -w user.max_user_namespaces=10000"},
		{"user namespaces off for others", func(t *testing.T, m *Machine) {
			m.UID = 1000
			write(t, m, "proc/sys/kernel/unprivileged_userns_clone", "0\n")
		}, "user namespaces", Missing, "kernel.unprivileged_userns_clone is 0", "sysctl -w kernel.unprivileged_userns_clone=1"},
		{"user namespaces fenced by AppArmor", func(t *testing.T, m *Machine) {
			m.UID = 1000
			write(t, m, "proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n")
		}, "user namespaces", Missing, "apparmor", "=0"},
		{"user namespaces off for others, seen by root", func(t *testing.T, m *Machine) { write(t, m, "proc/sys/kernel/unprivileged_userns_clone", "0\n") }, "", OK, "", ""},
		{"no seccomp", func(t *testing.T, m *Machine) { write(t, m, "proc/self/status", "Name:\tx\n") }, "seccomp", Missing, "cannot filter", "CONFIG_SECCOMP_FILTER"},
		{"no cgroups", func(t *testing.T, m *Machine) { write(t, m, "proc/self/mountinfo", "broken\n") }, "cgroups", Warning, "none are mounted", "mount -t cgroup2"},
		{"no overlay", func(t *testing.T, m *Machine) { write(t, m, "proc/filesystems", "nodev\tproc\n") }, "overlayfs", Warning, "images", "modprobe overlay"},
		{"no mapped layers", func(_ *testing.T, m *Machine) { m.Kernel = "5.15.0" }, "idmapped mounts", Warning, "5.15.0", "5.19"},
		{"disk all but full", func(_ *testing.T, m *Machine) {
			m.Space = func(string) (uint64, uint64, error) { return 100 << 20, 100 << 30, nil }
		}, "disk space", Missing, "100 MiB of 100.0 GiB", "--data"},
		{"disk nearly full", func(_ *testing.T, m *Machine) {
			m.Space = func(string) (uint64, uint64, error) { return 2 << 30, 100 << 30, nil }
		}, "disk space", Warning, "2.0 GiB of 100.0 GiB", "--data"},
		{"disk that does not answer", func(_ *testing.T, m *Machine) {
			m.Space = func(string) (uint64, uint64, error) { return 0, 0, errors.New("input/output error") }
		}, "disk space", Missing, "input/output error", "--data"},
		{"few inodes", func(_ *testing.T, m *Machine) {
			m.Inodes = func(string) (uint64, uint64, error) { return 10, 1000, nil }
		}, "inodes", Warning, "10 of 1000", "small files"},
		{"inodes without a number", func(_ *testing.T, m *Machine) {
			m.Inodes = func(string) (uint64, uint64, error) { return 0, 0, nil }
		}, "", OK, "", ""},
		{"few files", func(_ *testing.T, m *Machine) { m.Limit = 1024 }, "open files", Warning, "1024", "ulimit"},
		{"clock of long ago", func(_ *testing.T, m *Machine) { m.Now = time.Unix(0, 0).UTC() }, "clock", Missing, "1970-01-01", "chrony"},
		{"clock that nobody sets", func(_ *testing.T, m *Machine) { m.Synced = func() (bool, error) { return false, nil } }, "clock", Warning, "schedules", "chrony"},
		{"data directory that is not there yet", func(_ *testing.T, m *Machine) { m.Data = filepath.Join(m.Data, "not", "yet") }, "", OK, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := machine(t)
			c.spoil(t, m)
			all := m.Look()
			if got, want := Healthy(all), c.state != Missing; got != want {
				t.Errorf("Healthy = %v, want %v", got, want)
			}
			for _, f := range all {
				switch {
				case f.Name != c.what:
					if f.State == Missing || f.Detail == "" || (f.Remedy == "") != (f.State == OK) || c.what == "" && f.State != OK {
						t.Errorf("finding %+v, want nothing amiss", f)
					}
				case f.State != c.state || !strings.Contains(f.Detail, c.detail) || !strings.Contains(f.Remedy, c.remedy):
					t.Errorf("finding %+v, want %s with %q and the remedy %q", f, c.state, c.detail, c.remedy)
				}
			}
		})
	}
}

func TestSubordinateIDsAreFoundByNameAndNumber(t *testing.T) {
	for _, line := range []string{"me:100000:65536\n", "1000:100000:65536\n"} {
		m := machine(t)
		m.UID = 1000
		write(t, m, "etc/passwd", "root:x:0:0::/:/bin/sh\nme:x:1000:1000::/:/bin/sh\n")
		write(t, m, "etc/subuid", "you:1:2\n"+line)
		if f := m.subIDs(); !strings.Contains(f.Detail, strings.TrimSpace(line)) {
			t.Errorf("subIDs = %+v, want %q in it", f, line)
		}
	}
}

func TestCgroupLayouts(t *testing.T) {
	const (
		v1 = "30 24 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n31 24 0:31 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
		v2 = "35 24 0:35 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
	)
	for mounts, want := range map[string]string{v1: "version 1, with cpu, memory", v1 + v2: "hybrid: version 1 with cpu, memory, version 2 at /sys/fs/cgroup/unified"} {
		m := machine(t)
		write(t, m, "proc/self/mountinfo", mounts)
		if f := m.cgroups(); f.State != OK || f.Detail != want {
			t.Errorf("cgroups = %+v, want %q", f, want)
		}
	}
}
