package tree

import (
	"maps"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/dalamb/dalamb/internal/need"
)

func TestDescendants(t *testing.T) {
	all := []Process{{PID: 1}, {PID: 5, Parent: 3}, {PID: 2, Parent: 1}, {PID: 3, Parent: 2}, {PID: 4, Parent: 1}, {PID: 9, Parent: 9}}
	for _, c := range []struct {
		roots, want []int
	}{
		{[]int{2}, []int{2, 3, 5}},
		{[]int{4, 5}, []int{4, 5}},
		{[]int{9}, []int{9}},
		{[]int{7}, nil},
	} {
		roots := map[int]bool{}
		for _, r := range c.roots {
			roots[r] = true
		}
		var got []int
		for _, p := range Descendants(all, roots) {
			got = append(got, p.PID)
		}
		slices.Sort(got)
		if !slices.Equal(got, c.want) {
			t.Errorf("Descendants(%v) = %v, want %v", c.roots, got, c.want)
		}
	}
}

func TestAncestors(t *testing.T) {
	all := []Process{{PID: 1}, {PID: 2, Parent: 1}, {PID: 3, Parent: 2}, {PID: 4, Parent: 1}, {PID: 8, Parent: 9}, {PID: 9, Parent: 8}}
	for pid, want := range map[int][]int{3: {1, 2}, 2: {1}, 1: nil, 7: nil, 8: {8, 9}} {
		if got := slices.Sorted(maps.Keys(Ancestors(all, pid))); !slices.Equal(got, want) {
			t.Errorf("Ancestors(%d) = %v, want %v", pid, got, want)
		}
	}
}

func TestSnapshotShowsThisProcessAndItsChild(t *testing.T) {
	sleep := need.Program(t, "sleep")
	cmd := exec.Command(sleep, "60")
	cmd.Env = []string{"MARK=one"}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
	}()
	all, err := Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	self := slices.IndexFunc(all, func(p Process) bool { return p.PID == os.Getpid() })
	if self < 0 || all[self].Memory == 0 || !all[self].Mapped || all[self].Parent != os.Getppid() {
		t.Fatalf("Snapshot does not show this process rightly: %v", all)
	}
	mine := Descendants(all, map[int]bool{os.Getpid(): true})
	child := slices.IndexFunc(mine, func(p Process) bool { return p.PID == cmd.Process.Pid })
	if child < 0 {
		t.Fatalf("Descendants of this process = %v, want %d among them", mine, cmd.Process.Pid)
	}
	p, ok := Find(cmd.Process.Pid)
	if !ok || p.Start == "" || p.Start != mine[child].Start {
		t.Errorf("Find = %v, %v; want the start %q of the snapshot", p, ok, mine[child].Start)
	}
	for entry, want := range map[string]bool{"MARK=one": true, "MARK=on": false, "ARK=one": false} {
		if got, known := Marked(cmd.Process.Pid, entry); got != want || !known {
			t.Errorf("Marked(%q) = %v, known %v; want %v", entry, got, known, want)
		}
	}
	if got, known := Marked(-1, "MARK=one"); got || known {
		t.Errorf("Marked of no process = %v, known %v; want neither", got, known)
	}
}

func TestParse(t *testing.T) {
	out := "    1     0     1     0 Ss     11024 Sat Nov 21 08:43:01 2026\n" +
		"  812     1   812   812 Z+         0 Sat Nov 21 08:44:59 2026\nbroken line\n"
	want := []Process{
		{PID: 1, Group: 1, Start: "Sat Nov 21 08:43:01 2026", Memory: 11024 << 10, Mapped: true},
		{PID: 812, Parent: 1, Group: 812, Session: 812, Start: "Sat Nov 21 08:44:59 2026", Zombie: true},
	}
	if got := parse(out); !slices.Equal(got, want) {
		t.Errorf("parse = %+v, want %+v", got, want)
	}
}

func TestParseReadsTheSystemsOwnPs(t *testing.T) {
	out, err := exec.Command(need.Program(t, "ps"), "-axo", columns).Output()
	if err != nil {
		t.Fatal(err)
	}
	all := parse(string(out))
	if !slices.ContainsFunc(all, func(p Process) bool { return p.PID == os.Getpid() && p.Parent == os.Getppid() && p.Start != "" }) {
		t.Errorf("ps -axo %s: this process is not in\n%s", columns, out)
	}
}
