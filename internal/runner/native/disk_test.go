//go:build linux

package native

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/runner"
)

func TestFunctionsHaveHalfTheWeightAtADisk(t *testing.T) {
	const pids = "30 24 0:30 / $DIR/pids rw - cgroup cgroup rw,pids\n"
	const blkio = "31 24 0:31 / $DIR/blkio rw - cgroup cgroup rw,blkio\n"
	for _, c := range []struct {
		name, mounts string
		files        map[string]string
		file, want   string // "" = no group
	}{
		{"BFQ", pids + blkio, map[string]string{"blkio.bfq.weight": "00"}, "blkio.bfq.weight", "50"},
		{"CFQ", pids + blkio, map[string]string{"blkio.weight": "000"}, "blkio.weight", "250"},
		{"a scheduler without weights", pids + blkio, nil, "", ""},
		{"no such tree", pids, map[string]string{"blkio.weight": "500"}, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &fake{dir: t.TempDir(), files: c.files}
			for _, d := range []string{"pids", "blkio"} {
				if err := os.Mkdir(filepath.Join(f.dir, d), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			m := &machine{mountInfo: expandDir(c.mounts, f.dir), self: "8:pids:/\n9:blkio:/\n", pid: "0", mkdir: f.mkdir}
			got := m.cgroups("dalamb-x")
			if len(got.parents) != 1 || got.has(diskTime) {
				t.Errorf("each sandbox gets groups in %+v, want in that of pids alone", got.parents)
			}
			if c.file == "" {
				if left, err := filepath.Glob(f.dir + "/blkio/*"); got.disk != nil || len(left) != 0 || err != nil {
					t.Errorf("disk = %+v, left %v, %v; want no group", got.disk, left, err)
				}
				return
			}
			if got.disk == nil {
				t.Fatal("there is no group")
			}
			if weight := f.read(t, "blkio/dalamb-x", c.file); weight != c.want {
				t.Errorf("%s = %s, want %s", c.file, weight, c.want)
			}
		})
	}
}

// Where the kernel knows weights (else there is no group to be in) all sandboxes are in the one group, which goes with the runner.
func TestSandboxesAreInTheGroupOfTheDisk(t *testing.T) {
	fences(t)
	r, err := New(Options{StateDir: t.TempDir() + "/state", Spare: -1})
	if err != nil {
		t.Fatal(err)
	}
	sb, err := r.Start(t.Context(), runner.Spec{ID: "a", Base: "host", Network: "none", Command: []string{"sleep", "60"}})
	if err != nil {
		t.Fatal(err)
	}
	in, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", sb.(*sandbox).nest.init.PID))
	if err != nil {
		t.Fatal(err)
	}
	disk := r.groups().disk
	if is := strings.Contains(line(string(in), diskTime), r.name); is != (disk != nil) {
		t.Errorf("the init is in\n%sand the group is %+v", in, disk)
	}
	sb.Stop(0)
	if err := r.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if disk != nil {
		if _, err := os.Stat(disk.dir); !os.IsNotExist(err) {
			t.Errorf("the group is left: %v", err)
		}
	}
}

// line is the one of /proc/PID/cgroup that is about a controller.
func line(text, controller string) string {
	for l := range strings.Lines(text) {
		if strings.Contains(l, ":"+controller+":") {
			return l
		}
	}
	return ""
}
