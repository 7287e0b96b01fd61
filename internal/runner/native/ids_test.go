//go:build linux

package native

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/runner"
)

func TestRangesAreNobodyElses(t *testing.T) {
	dir, ids := t.TempDir(), IDs{First: 1 << 20, Count: 2 * blockRanges * rangeSize}
	node := func() *ranges {
		r := newRanges(ids)
		r.dir, r.proc = filepath.Join(dir, "ids"), t.TempDir()
		return r
	}
	one, two := node(), node()
	seen := map[int64]bool{}
	for range blockRanges {
		for _, r := range []*ranges{one, two} {
			first, err := r.lease()
			if err != nil {
				t.Fatal(err)
			}
			if seen[first] || first < ids.First || first+rangeSize > ids.First+ids.Count || first%rangeSize != 0 {
				t.Fatalf("lease = %d, which was given before or is out of %v", first, ids)
			}
			seen[first] = true
		}
	}
	if _, err := one.lease(); fault.KindOf(err) != fault.Exhausted || !strings.Contains(fault.HintOf(err), "sandbox.ids") {
		t.Errorf("lease of more than there is = %v, hint %q; want an Exhausted fault that names the setting", err, fault.HintOf(err))
	}
	one.release(ids.First + 5*rangeSize)
	if first, err := one.lease(); err != nil || first != ids.First+5*rangeSize {
		t.Errorf("lease = %d, %v; want the one that was given back", first, err)
	}
	two.close()
	if first, err := one.lease(); err != nil || first < ids.First+blockRanges*rangeSize {
		t.Errorf("lease = %d, %v; want one of the node that is gone", first, err)
	}
	one.close()
}

func TestRangesOfLivingProcessesAreLeftAlone(t *testing.T) {
	need.Root(t)
	r := newRanges(IDs{First: 1 << 20, Count: 2 * blockRanges * rangeSize})
	r.dir, r.proc = t.TempDir(), t.TempDir()
	process := filepath.Join(r.proc, "1234")
	if err := os.Mkdir(process, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(process, 1<<20+7*rangeSize+1000, 0); err != nil {
		t.Fatal(err)
	}
	if first, err := r.lease(); err != nil || first < 1<<20+blockRanges*rangeSize {
		t.Errorf("lease = %d, %v; want one of the block that nobody lives in", first, err)
	}
	r.close()
}

func TestIDsThatCannotBeGiven(t *testing.T) {
	const all = "         0          0 4294967295\n"
	for _, c := range []struct {
		name, file, line, idMap string
		want                    fault.Kind // Internal = usable
	}{
		{"nobody else's", "passwd", "root:x:0:0:root:/root:/bin/sh", all, fault.Internal},
		{"below a range", "subuid", "me:100000:65536", all, fault.Internal},
		{"a user's", "passwd", "me:x:1000001:1000001::/:/bin/sh", all, fault.Conflict},
		{"a group's", "group", "us:x:1999999:me", all, fault.Conflict},
		{"a range of a user's", "subuid", "me:900000:65536\nyou:999999:2", all, fault.Conflict},
		{"a range of a group's", "subgid", "me:1999999:65536", all, fault.Conflict},
		{"lines that make no sense", "subuid", "me\nme:x:y\n::\n", all, fault.Internal},
		{"not in this container", "passwd", "", "0 100000 65536\n", fault.Unavailable},
		{"in this container in part", "passwd", "", "0 100000 1500000\n", fault.Unavailable},
		{"in one of its ranges", "passwd", "", "0 0 1\n999999 5000000 1000002\n", fault.Internal},
	} {
		t.Run(c.name, func(t *testing.T) {
			etc := t.TempDir()
			if err := os.WriteFile(filepath.Join(etc, c.file), []byte(c.line), 0o600); err != nil {
				t.Fatal(err)
			}
			err := IDs{First: 1_000_000, Count: 1_000_000}.usable(etc, c.idMap)
			if (err == nil) != (c.want == fault.Internal) || err != nil && (fault.KindOf(err) != c.want || !strings.Contains(fault.HintOf(err), "sandbox.ids")) {
				t.Errorf("usable = %v, hint %q; want kind %v", err, fault.HintOf(err), c.want)
			}
		})
	}
}

// Not even two instances of one function are the same user, and root is none of the host's.
func TestEachSandboxIsAUserOfItsOwn(t *testing.T) {
	fences(t)
	need.Root(t)
	r, err := New(Options{StateDir: filepath.Join(t.TempDir(), "state")})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	need.That(t, r.ranges != nil, "user ids that sandboxes may be given")
	users := map[string]string{}
	for _, c := range []struct {
		id   string
		user *runner.User
		uid  int64
	}{{"one", nil, 1000}, {"two", nil, 1000}, {"root", &runner.User{}, 0}, {"last", &runner.User{UID: 65535, GID: 65535}, 65535}} {
		ready := make(chan struct{}, 1)
		sb, err := r.Start(t.Context(), runner.Spec{
			ID: c.id, Base: "host", Network: "none", User: c.user, Command: []string{"sh", "-c", "id -u; exec sleep 60"},
			Stdout: func(p []byte) {
				if got, want := string(p), fmt.Sprintln(c.uid); got != want {
					t.Errorf("%s: id -u = %q, want %q", c.id, got, want)
				}
				close(ready)
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		<-ready
		s := sb.(*sandbox)
		want := fmt.Sprint(s.nest.ids.First + c.uid)
		lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", s.nest.init.PID))
		if err != nil {
			t.Fatal(err)
		}
		var child string
		for _, list := range lists {
			b, err := os.ReadFile(list)
			if err != nil {
				t.Fatal(err)
			}
			child += strings.TrimSpace(string(b))
		}
		status, err := os.ReadFile("/proc/" + child + "/status")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(status)) {
			if f := strings.Fields(line); f[0] == "Uid:" && f[1] != want {
				t.Errorf("%s is user %s on the host, want %s", c.id, f[1], want)
			}
		}
		if other, taken := users[want]; taken {
			t.Errorf("%s and %s are the same user on the host", c.id, other)
		}
		users[want] = c.id
	}
}
