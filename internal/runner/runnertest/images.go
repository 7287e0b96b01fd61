package runnertest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/runner"
)

// images tests roots that are made of layers, with a runner that says it has them; any other must refuse them.
func (s *suite) images(t *testing.T) {
	r := s.runner(t)
	if !s.ability.Images {
		s.refusesImages(t, r)
		return
	}
	t.Run("layers", func(t *testing.T) { s.layers(t, r) })
	t.Run("working directory", func(t *testing.T) { s.workDir(t, r) })
	t.Run("user", func(t *testing.T) { s.user(t, r) })
	t.Run("writes", func(t *testing.T) {
		for _, file := range []string{"/x", "/app/x", "/app/low", "/etc/hosts", "/dev/x", "/own/x", "/l/0/x"} {
			b := start(t, r, s.imageSpec(t, "write", file))
			if e := b.end(); e.Code != 1 || b.err.String() == "" {
				t.Errorf("write of %s: exit %+v, stderr %q; want code 1 and why", file, e, b.err.String())
			}
		}
		for _, file := range []string{"/tmp/x", "/dev/shm/x", "/dev/null"} {
			if got := s.run(t, r, s.imageSpec(t, "write", file)); got != "wrote" {
				t.Errorf("write of %s printed %q, want wrote", file, got)
			}
		}
	})
	t.Run("the fence is the same", func(t *testing.T) {
		s.deniedWith(t, r, 36, s.imageSpec(t, "syscalls"))
		root := s.imageSpec(t, "init")
		root.User = &runner.User{}
		s.deniedWith(t, r, 9, root)
	})
	t.Run("layer that is not there", func(t *testing.T) {
		spec := s.imageSpec(t, "args")
		spec.Root = append(spec.Root, "/none/of/this")
		if _, err := r.Start(t.Context(), spec); err == nil || !strings.Contains(err.Error(), "/none/of/this") {
			t.Errorf("Start = %v, want an error that names the layer", err)
		}
	})
	t.Run("as many layers as can be", func(t *testing.T) {
		spec := s.imageSpec(t, "read", "/many")
		for len(spec.Root) < runner.MaxLayers {
			spec.Root = append(spec.Root, layer(t, map[string]string{"many": fmt.Sprint(len(spec.Root))}))
		}
		if got, want := s.run(t, r, spec), fmt.Sprint(runner.MaxLayers-1); got != want {
			t.Errorf("/many = %q, want %q of the highest layer", got, want)
		}
	})
}

func (s *suite) refusesImages(t *testing.T, r runner.Runner) {
	for name, change := range map[string]func(*runner.Spec){
		"root":              func(sp *runner.Spec) { sp.Base, sp.Root = "", []string{s.code} },
		"working directory": func(sp *runner.Spec) { sp.WorkDir = "/" },
		"user":              func(sp *runner.Spec) { sp.User = &runner.User{UID: 1} },
	} {
		spec := s.spec(t, "args")
		change(&spec)
		if _, err := r.Start(t.Context(), spec); fault.KindOf(err) != fault.Unavailable || fault.HintOf(err) == "" {
			t.Errorf("%s: Start = %v, want an Unavailable fault with a hint", name, err)
		}
	}
}

// layer makes a directory of files; a path that ends in a slash is a directory, a value that begins with -> a link.
func layer(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "layer")
	for name, content := range files {
		p := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(p), 0o755)
		to, isLink := strings.CutPrefix(content, "->")
		switch {
		case err != nil:
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(p, 0o755)
		case isLink:
			err = os.Symlink(to, p)
		default:
			err = os.WriteFile(p, []byte(content), 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// imageSpec is one whose root has fn in /bin, on two layers.
func (s *suite) imageSpec(t *testing.T, args ...string) runner.Spec {
	t.Helper()
	fn, err := os.ReadFile(filepath.Join(s.code, "fn"))
	if err != nil {
		t.Fatal(err)
	}
	low := layer(t, map[string]string{
		"bin/fn": string(fn), "app/low": "low", "app/both": "low", "app/gone": "low", "hidden/low": "low", "closed/x": "x",
		"etc/hosts": "evil", "etc/resolv.conf": "->/nowhere", "etc/os-release": "mine", "proc/x": "x", "dev": "->/etc", "link": "->/app",
	})
	high := layer(t, map[string]string{"app/both": "high", "app/high": "high", "hidden/high": "high"})
	if err := unix.Mknod(filepath.Join(high, "app/gone"), unix.S_IFCHR, 0); err != nil {
		t.Fatalf("make a whiteout: %v", err)
	}
	if err := unix.Setxattr(filepath.Join(high, "hidden"), "user.overlay.opaque", []byte("y"), 0); err != nil {
		t.Fatalf("make an opaque directory: %v", err)
	}
	if err := os.Chmod(filepath.Join(low, "closed"), 0o700); err != nil {
		t.Fatal(err)
	}
	spec := s.spec(t)
	spec.Base, spec.CodeDir, spec.Root, spec.Command = "", "", []string{low, high}, append([]string{"fn"}, args...)
	return spec
}

func (s *suite) layers(t *testing.T, r runner.Runner) {
	for _, c := range []struct{ dir, want string }{
		{"/", "app bin closed dev etc hidden link proc tmp"},
		{"/app", "both high low"},
		{"/link", "both high low"},
		{"/hidden", "high"},
		{"/etc", "hostname hosts os-release resolv.conf"},
		{"/dev", "fd full null random shm stderr stdin stdout urandom zero"},
		{"/tmp", ""},
	} {
		if got, want := s.run(t, r, s.imageSpec(t, "list", c.dir)), c.dir+" "+c.want+"\n"; got != want {
			t.Errorf("list = %q, want %q", got, want)
		}
	}
	for file, want := range map[string]string{
		"/app/both": "high", "/app/low": "low", "/etc/hosts": "127.0.0.1 localhost sandbox sandbox.localdomain\n::1 localhost\n", "/etc/hostname": "tested\n", "/etc/resolv.conf": "",
	} {
		if got := s.run(t, r, s.imageSpec(t, "read", file)); got != want {
			t.Errorf("%s = %q, want %q", file, got, want)
		}
	}
	// One layer is an image too, and the code is shown on top of it.
	spec := s.imageSpec(t, "args")
	spec.Root, spec.CodeDir, spec.Command = spec.Root[:1], s.code, []string{"./fn", "args"}
	if got := s.run(t, r, spec); got != "./fn|args" {
		t.Errorf("on one layer the code printed %q", got)
	}
}

func (s *suite) workDir(t *testing.T, r runner.Runner) {
	for _, c := range []struct{ dir, code, want string }{
		{"", "", "/"},
		{"", s.code, "/var/task"},
		{"/app", "", "/app"},
		{"/link", s.code, "/app"},
	} {
		spec := s.imageSpec(t, "pwd")
		spec.WorkDir, spec.CodeDir = c.dir, c.code
		if got := s.run(t, r, spec); got != c.want {
			t.Errorf("working directory %q with code %q is %q, want %q", c.dir, c.code, got, c.want)
		}
	}
	for dir, want := range map[string]string{"/none": "working directory /none: no such file", "/app/low": "working directory /app/low: not a directory"} {
		spec := s.imageSpec(t, "pwd")
		spec.WorkDir = dir
		if e := start(t, r, spec).end(); !strings.Contains(e.Start, want) {
			t.Errorf("working directory %s: exit %+v, want Start with %q", dir, e, want)
		}
	}
	spec := s.imageSpec(t)
	spec.WorkDir, spec.Command = "/app", []string{"../bin/fn", "args"}
	if got := s.run(t, r, spec); got != "../bin/fn|args" {
		t.Errorf("a relative command printed %q", got)
	}
}

func (s *suite) user(t *testing.T, r runner.Runner) {
	for _, u := range []runner.User{{UID: 0, GID: 0}, {UID: 33, GID: 44}, {UID: 1000, GID: 0}, {UID: 0, GID: 7}, {UID: runner.MaxID, GID: runner.MaxID}} {
		spec := s.imageSpec(t, "status")
		spec.User = &u
		status := s.run(t, r, spec)
		for _, want := range []string{
			fmt.Sprintf("Uid:\t%d\t%[1]d\t%[1]d\t%[1]d\n", u.UID), fmt.Sprintf("Gid:\t%d\t%[1]d\t%[1]d\t%[1]d\n", u.GID),
			"CapInh:\t0000000000000000\n", "CapPrm:\t0000000000000000\n", "CapEff:\t0000000000000000\n", "CapBnd:\t0000000000000000\n", "CapAmb:\t0000000000000000\n",
		} {
			if !strings.Contains(status, want) {
				t.Errorf("user %+v: /proc/self/status has no %q:\n%s", u, want, status)
			}
		}
	}
	// Extra groups are had where the machine lets a sandbox have them, and never others.
	for _, uid := range []uint32{0, 33} {
		spec := s.imageSpec(t, "status")
		spec.User = &runner.User{UID: uid, GID: 33, Groups: []uint32{44, 55}}
		status := s.run(t, r, spec)
		if !regexp.MustCompile(`Groups:\s(44 55 )?\n`).MatchString(status) && os.Getuid() == 0 {
			t.Errorf("user %d has not the groups 44 and 55, or none:\n%s", uid, status)
		}
	}
	// Who owns a layer's file inside is who owns it on disk, by number; here that is whoever runs this test.
	spec := s.imageSpec(t, "list", "/closed")
	spec.User = &runner.User{UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}
	if got := s.run(t, r, spec); got != "/closed x\n" {
		t.Errorf("its owner sees %q in a closed directory, want x", got)
	}
	if os.Getuid() == 0 {
		if got := s.run(t, r, s.imageSpec(t, "list", "/closed")); !strings.Contains(got, "denied") {
			t.Errorf("another user sees %q in a closed directory", got)
		}
	}
}
