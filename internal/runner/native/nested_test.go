//go:build linux

package native

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/runner"
)

// nested runs lines of shell as the root of namespaces of its own, with one directory to write to, and returns what they print.
func nested(t *testing.T, lines ...string) string {
	t.Helper()
	fences(t)
	r, err := New(Options{StateDir: filepath.Join(t.TempDir(), "state"), Spare: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	need.That(t, r.groups().has("memory"), "a memory cgroup")
	dir := t.TempDir()
	if os.Geteuid() == 0 {
		if err := os.Chown(dir, runner.MountOwner, runner.MountOwner); err != nil {
			t.Fatal(err)
		}
	}
	var mu sync.Mutex
	var out strings.Builder
	write := func(p []byte) {
		mu.Lock()
		defer mu.Unlock()
		out.Write(p)
	}
	sb, err := r.Start(t.Context(), runner.Spec{
		ID: "nested", Function: "nested", Base: "host", Network: "none", Memory: 256 << 20, PIDs: 64, Nested: true,
		Command: []string{"/bin/sh", "-c", strings.Join(lines, "\n")}, Mounts: []runner.Mount{{Dir: dir, At: "/build/work", Writable: true}}, WorkDir: "/build/work",
		Env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, Secrets: &runner.Secrets{Files: []runner.SecretFile{{Name: "key", Text: []byte("secret")}}},
		Stdout: write, Stderr: write,
	})
	if err != nil {
		t.Fatal(err)
	}
	<-sb.Done()
	if e := sb.Exit(); e.Code != 0 {
		t.Fatalf("Exit = %+v, want 0; it said\n%s", e, &out)
	}
	return out.String()
}

func TestANestedCommandMountsAndChangesItsRoot(t *testing.T) {
	out := nested(t, "set -e", "id -u", "mkdir -p lower upper work root/x; echo low > lower/f", "mount -t tmpfs tmpfs root", "mkdir root/bin root/lib root/usr",
		"mount --rbind /usr root/usr; cp -a /bin /lib /lib64 root 2>/dev/null || true", "umount -l root/usr; umount root",
		"mknod white c 0 0", "mount -t overlay overlay -o userxattr,lowerdir=lower,upperdir=upper,workdir=work root; cat root/f; rm root/f; ls upper; umount root",
		"cat /run/secrets/key")
	if want := "0\nlow\nf\nsecret"; out != want {
		t.Errorf("it printed %q, want %q", out, want)
	}
}

// What holds a function holds who is root in namespaces below.
func TestANestedCommandStaysInItsSandbox(t *testing.T) {
	for name, line := range map[string]string{
		"a mount that covers is taken away": "umount /proc/sys || umount -l /proc/kcore || umount /dev/null || umount -l /usr",
		"the machine's programs writable":   "mount -o remount,bind,rw /usr && touch /usr/written",
		"the root writable":                 "mount -o remount,bind,rw / && touch /written",
		"settings of the kernel":            "mount -o remount,bind,rw /proc/sys && echo x > /proc/sys/kernel/hostname",
		"secrets writable":                  "mount -o remount,bind,rw /run/secrets && touch /run/secrets/x",
		"another user namespace":            "unshare -U true",
		"another network":                   "unshare -n true",
		"other processes' numbers":          "unshare -p -f true",
		"a new /proc":                       "mkdir p; mount -t proc proc p",
		"a new /sys":                        "mkdir s; mount -t sysfs sysfs s",
		"cgroups":                           "mkdir c; mount -t cgroup2 cgroup c || mount -t cgroup -o memory cgroup c",
		"a device":                          "mknod null c 1 3",
		"a disk":                            "mknod disk b 8 0",
		"the init's files":                  "ls /proc/1/fd || cat /proc/1/environ || ls /proc/1/root/",
		"the sandbox's name":                "hostname other",
		"the sandbox's network":             "ip link set lo down",
		"a file of root's":                  "cat /etc/shadow || ls /root || ls /build/../root",
		"the kernel's log":                  "dmesg",
		"a namespace of the init's":         "nsenter -t 1 -m true",
	} {
		t.Run(name, func(t *testing.T) {
			if out := nested(t, "if { "+line+"; } >said 2>&1; then echo it can; else echo it cannot; fi"); out != "it cannot\n" {
				t.Errorf("%s: %s", line, out)
			}
		})
	}
}

func TestANestedCommandNeedsADirectory(t *testing.T) {
	s := runner.Spec{ID: "x", Function: "x", Base: "host", Network: "none", Command: []string{"true"}, Nested: true}
	if err := s.Validate(); fault.KindOf(err) != fault.Invalid {
		t.Errorf("Validate of a nested command without mounts = %v, want an Invalid fault", err)
	}
}
