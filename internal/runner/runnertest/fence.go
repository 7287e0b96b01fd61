package runnertest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/runner"
)

// fence tests what a function cannot do with a runner that says it isolates.
func (s *suite) fence(t *testing.T) {
	r := s.runner(t)

	t.Run("system calls", func(t *testing.T) { s.denied(t, r, 61, "syscalls") })
	t.Run("init", func(t *testing.T) { s.denied(t, r, 9, "init") })
	t.Run("files", func(t *testing.T) { s.files(t, r) })
	t.Run("writes", func(t *testing.T) { s.writes(t, r) })

	t.Run("the host's abstract sockets", func(t *testing.T) {
		name := fmt.Sprintf("dalamb-runnertest-%d", os.Getpid())
		l, err := net.Listen("unix", "@"+name)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		s.denied(t, r, 1, "abstract", name)
	})

	t.Run("the host's loopback", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		b := start(t, r, s.spec(t, "dial", l.Addr().String()))
		if e := b.end(); e.Code != 1 || !strings.Contains(b.err.String(), "connection refused") {
			t.Errorf("dial of the host's listener: exit %+v, stderr %q; want connection refused", e, b.err.String())
		}
	})

	t.Run("rights", func(t *testing.T) {
		status := s.run(t, r, s.spec(t, "status"))
		for _, want := range []string{
			`CapInh:\s0+\n`, `CapPrm:\s0+\n`, `CapEff:\s0+\n`, `CapBnd:\s0+\n`, `CapAmb:\s0+\n`,
			`NoNewPrivs:\s1\n`, `Seccomp:\s2\n`, `Uid:\s1000\s1000\s1000\s1000\n`, `Gid:\s1000\s1000\s1000\s1000\n`,
		} {
			if !regexp.MustCompile(want).MatchString(status) {
				t.Errorf("/proc/self/status has no %q:\n%s", want, status)
			}
		}
		b := start(t, r, s.spec(t, "stubborn"))
		b.prints("ready")
		outside, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", alive(t, b.spec)[0]))
		if err != nil {
			t.Fatal(err)
		}
		if regexp.MustCompile(`Uid:.*\b0\b`).Match(outside) {
			t.Errorf("the function is root on the host:\n%s", outside)
		}
	})

	t.Run("descriptors", func(t *testing.T) {
		for line := range strings.Lines(s.run(t, r, s.spec(t, "fds"))) {
			if !slices.Contains([]string{"0", "1", "2"}, strings.Fields(line)[0]) {
				t.Errorf("the function has the descriptor %q", line)
			}
		}
	})

	t.Run("cgroup names", func(t *testing.T) {
		for line := range strings.Lines(s.run(t, r, s.spec(t, "read", "/proc/self/cgroup"))) {
			if strings.Contains(line, "dalamb") {
				t.Errorf("the function sees the host's cgroup %q", line)
			}
		}
	})

	t.Run("other functions' files", func(t *testing.T) {
		spec := s.spec(t)
		spec.Base, spec.Command = "host", []string{"sh", "-c", "echo secret >/tmp/x; echo done; sleep 60"}
		b := start(t, r, spec)
		b.prints("done")
		if got := s.run(t, r, s.spec(t, "list", "/tmp")); got != "/tmp \n" {
			t.Errorf("another function's /tmp: %q, want nothing in it", got)
		}
	})

	t.Run("what all functions share", func(t *testing.T) {
		if s.ability.Kernel {
			return // no kernel's figures
		}
		n, err := strconv.Atoi(s.run(t, r, s.spec(t, "watchers")))
		if err != nil || n < 1 || n > 16 {
			t.Errorf("a function got %d inotify instances, %v; want 16 at most: the kernel counts them per user", n, err)
		}
	})

	t.Run("bomb", func(t *testing.T) {
		spec := s.spec(t)
		spec.Base, spec.PIDs = "host", 64
		spec.Command = []string{"sh", "-c", "f() { f & f & }; echo ready; f; while :; do f; done"}
		b := start(t, r, spec)
		b.prints("ready")
		if got := s.run(t, r, s.spec(t, "args")); got != "./fn|args" {
			t.Errorf("beside a fork bomb a function printed %q", got)
		}
		b.Stop(0)
		if left := alive(t, spec); left != nil {
			t.Errorf("processes %v live after Stop", left)
		}
	})

	t.Run("the way to the code may be closed", func(t *testing.T) {
		closed := filepath.Join(t.TempDir(), "closed")
		if err := os.Mkdir(closed, 0o700); err != nil {
			t.Fatal(err)
		}
		spec := s.spec(t, "args")
		spec.CodeDir = filepath.Join(closed, "code")
		if err := os.CopyFS(spec.CodeDir, os.DirFS(s.code)); err != nil {
			t.Fatal(err)
		}
		if got := s.run(t, r, spec); got != "./fn|args" {
			t.Errorf("printed %q, want ./fn|args", got)
		}
	})
}

// denied runs a role that tries forbidden things and prints a line for each; at least so many.
func (s *suite) denied(t *testing.T, r runner.Runner, tries int, args ...string) {
	t.Helper()
	s.deniedWith(t, r, tries, s.spec(t, args...))
}

func (s *suite) deniedWith(t *testing.T, r runner.Runner, tries int, spec runner.Spec) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(s.run(t, r, spec)), "\n")
	if len(lines) < tries {
		t.Errorf("%v tried %d things, want %d at least: %q", spec.Command, len(lines), tries, lines)
	}
	for _, line := range lines {
		if !strings.Contains(line, "denied") {
			t.Errorf("%v: %s", spec.Command, line)
		}
	}
}

func (s *suite) files(t *testing.T, r runner.Runner) {
	for _, c := range []struct{ base, dir, want string }{
		{"scratch", "/", "dev etc opt proc tmp var"},
		{"scratch", "/var", "task"},
		{"scratch", "/var/task", "fn garbage text"},
		{"scratch", "/tmp", ""},
		{"scratch", "/dev", "fd full null random shm stderr stdin stdout urandom zero"},
		{"scratch", "/etc", "group hosts nsswitch.conf passwd"},
		{"host", "/var", "task"},
		{"host", "/tmp", ""},
		{"host", "/home", "denied open /home: no such file or directory"},
		{"host", "/root", "denied open /root: no such file or directory"},
		{"host", "/sys", "denied open /sys: no such file or directory"},
		{"host", "/run", "denied open /run: no such file or directory"},
	} {
		spec := s.spec(t, "list", c.dir)
		spec.Base = c.base
		if got, want := s.run(t, r, spec), c.dir+" "+c.want+"\n"; got != want {
			t.Errorf("base %s: list = %q, want %q", c.base, got, want)
		}
	}
	spec := s.spec(t, "list", "/", "/etc", "/etc/ssl", "/proc")
	spec.Base = "host"
	lines := strings.Split(s.run(t, r, spec), "\n")
	for i, may := range []string{
		"/ bin dev etc lib lib32 lib64 libx32 opt proc sbin tmp usr var",
		"/etc alternatives ca-certificates crypto-policies group hosts ld.so.cache ld.so.conf ld.so.conf.d maven nsswitch.conf passwd pki ssl",
		"/etc/ssl cert.pem certs openssl.cnf",
	} {
		for _, name := range strings.Fields(lines[i]) {
			if !slices.Contains(strings.Fields(may), name) && !strings.HasPrefix(name, "java-") {
				t.Errorf("base host shows %s in %s", name, strings.Fields(may)[0])
			}
		}
	}
	if got := regexp.MustCompile(`\b\d+\b`).FindAllString(lines[3], -1); len(got) != 2 || got[0] != "1" {
		t.Errorf("/proc shows the processes %v, want the init and the function", got)
	}
	for _, file := range []string{"/proc/kcore", "/proc/kallsyms", "/proc/keys", "/proc/timer_list", "/proc/interrupts", "/proc/iomem", "/proc/slabinfo", "/proc/cmdline"} {
		b := start(t, r, s.spec(t, "read", file))
		b.end()
		if b.out.count() > 0 {
			t.Errorf("%s shows %q", file, b.out.tail())
		}
	}
}

func (s *suite) writes(t *testing.T, r runner.Runner) {
	for _, file := range []string{
		"/x", "/var/x", "/var/task/x", "/var/task/fn", "/etc/passwd", "/etc/x", "/usr/x", "/usr/bin/env", "/dev/x",
		"/proc/sys/kernel/core_pattern", "/proc/sys/vm/drop_caches", "/proc/sysrq-trigger", "/proc/1/oom_score_adj",
	} {
		spec := s.spec(t, "write", file)
		spec.Base = "host"
		b := start(t, r, spec)
		if e := b.end(); e.Code != 1 || b.err.String() == "" {
			t.Errorf("write of %s: exit %+v, stderr %q; want code 1 and why", file, e, b.err.String())
		}
	}
	for _, file := range []string{"/tmp/x", "/dev/shm/x", "/dev/null"} {
		if got := s.run(t, r, s.spec(t, "write", file)); got != "wrote" {
			t.Errorf("write of %s printed %q, want wrote", file, got)
		}
	}
}
