//go:build linux

package native

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/runner"
)

const (
	pidsTree   = "30 24 0:30 / $DIR/pids rw - cgroup cgroup rw,pids\n"
	blkioTree  = "31 24 0:31 / $DIR/blkio rw - cgroup cgroup rw,blkio\n"
	secondTree = "35 24 0:35 / $DIR/two rw - cgroup2 cgroup2 rw\n"
)

// aids tells what a machine gives whose trees of cgroups and disks are directories: the controller io of a real version 2 is had only where
// version 1 has it not.
func aids(t *testing.T, mounts string, files map[string]string, disks map[string]string) (freezing, disk runner.Aid, at *fake) {
	t.Helper()
	f := &fake{dir: t.TempDir(), files: files}
	for _, d := range []string{"pids", "blkio", "two"} {
		dir := filepath.Join(f.dir, d)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := f.fill(dir); err != nil {
			t.Fatal(err)
		}
	}
	for name, scheduler := range disks {
		dir := filepath.Join(f.dir, "disks", name, "queue")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "scheduler"), []byte(scheduler+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m := &machine{
		mountInfo: expandDir(mounts, f.dir), self: "8:pids:/\n9:blkio:/\n0::/\n", pid: "0", disks: filepath.Join(f.dir, "disks"), mkdir: f.mkdir,
	}
	c := m.cgroups("dalamb-x")
	return m.freezing(c), m.diskWeight(c), f
}

func TestWhatDisksGiveIsTold(t *testing.T) {
	two := map[string]string{"cgroup.controllers": "cpu io memory pids\n", "cgroup.subtree_control": "", "cgroup.procs": "", "cgroup.freeze": "0\n"}
	with := func(files map[string]string, more ...string) map[string]string {
		all := map[string]string{}
		for name, content := range files {
			all[name] = content
		}
		for _, name := range more {
			all[name] = "000"
		}
		return all
	}
	bfq := map[string]string{"vda": "none mq-deadline [bfq]", "loop0": "[none] bfq"}
	none := map[string]string{"vda": "[none] mq-deadline bfq", "zram0": "[none]"}
	for _, c := range []struct {
		name, mounts string
		files, disks map[string]string
		given        bool
		says, remedy string
		weights      []string // files that hold 50
	}{
		{"version 2 and BFQ", secondTree, with(two, "io.weight", "io.bfq.weight"), bfq, true, "half the weight of others (io.bfq.weight and io.weight): vda has bfq", "", []string{"two/dalamb-x/io.weight", "two/dalamb-x/io.bfq.weight"}},
		{"version 2 without BFQ's own file", secondTree, with(two, "io.weight"), bfq, true, "(io.weight): vda has bfq", "", []string{"two/dalamb-x/io.weight"}},
		{"version 2 and no scheduler that looks", secondTree, with(two, "io.weight"), none, false, "no disk here has a scheduler that looks at it (vda has none)", "echo bfq >", []string{"two/dalamb-x/io.weight"}},
		{"version 2 without weights", secondTree, two, nil, false, "the kernel's schedulers of disks know none (no disk tells)", "echo bfq >", nil},
		{"version 2 without the controller", secondTree, map[string]string{"cgroup.controllers": "pids\n", "cgroup.subtree_control": ""}, bfq, false, "neither the controller io", "Delegate=yes", nil},
		{"version 1 and BFQ", pidsTree + blkioTree, map[string]string{"blkio.bfq.weight": "00"}, bfq, true, "(blkio.bfq.weight): vda has bfq", "", []string{"blkio/dalamb-x/blkio.bfq.weight"}},
		{"version 1 without weights", pidsTree + blkioTree, nil, none, false, "know none (vda has none)", "echo bfq >", nil},
		{"no cgroups", "", nil, bfq, false, "neither the controller io", "Delegate=yes", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, got, f := aids(t, c.mounts, c.files, c.disks)
			if got.Given != c.given || !strings.Contains(got.Detail, c.says) || !strings.Contains(got.Remedy, c.remedy) || c.given != (got.Remedy == "") {
				t.Errorf("disk weight = %+v, want given %v with %q and the remedy %q", got, c.given, c.says, c.remedy)
			}
			for _, file := range c.weights {
				if w := f.read(t, file); !strings.HasPrefix(w, "50") {
					t.Errorf("%s = %q, want 50", file, w)
				}
			}
		})
	}
}

func TestWhatFreezesIsTold(t *testing.T) {
	freezes := map[string]string{"cgroup.freeze": "0\n"}
	for _, c := range []struct {
		name, mounts string
		files        map[string]string
		given        bool
		says, remedy string
	}{
		{"version 2 beside version 1", pidsTree + secondTree, freezes, true, "by cgroup version 2 at", ""},
		{"version 2 with limits", secondTree, map[string]string{"cgroup.controllers": "pids\n", "cgroup.subtree_control": "", "cgroup.procs": ""}, true, "by cgroup version 2 at", ""},
		{"version 1 alone", pidsTree, freezes, false, "no cgroup version 2 is mounted", "mount -t cgroup2"},
		{"a kernel before 5.2", pidsTree + secondTree, nil, false, "no group can be made at", "Linux 5.2"},
		{"no limits", secondTree, freezes, false, "this user may make no cgroups", "Delegate=yes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, _, _ := aids(t, c.mounts, c.files, nil)
			if got.Given != c.given || !strings.Contains(got.Detail, c.says) || !strings.Contains(got.Remedy, c.remedy) || c.given != (got.Remedy == "") {
				t.Errorf("freezing = %+v, want given %v with %q and the remedy %q", got, c.given, c.says, c.remedy)
			}
		})
	}
}
