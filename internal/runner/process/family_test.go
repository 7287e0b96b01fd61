package process

import (
	"os"
	"testing"

	"github.com/dalamb/dalamb/internal/runner/tree"
)

// TestWhoMayYetBelong asks of processes that show no environment whether a family's end has to wait for it.
func TestWhoMayYetBelong(t *testing.T) {
	const manager, stranger, starting = 1 << 28, 1 << 29, 1 << 30 // no PIDs of this machine
	for _, c := range []struct {
		name string
		p    tree.Process
		want bool
	}{
		{"an orphan of the first process", tree.Process{Parent: 1, Mapped: true, Memory: 4096}, true},
		{"one whose first pages are not counted yet", tree.Process{Parent: 1, Mapped: true}, true},
		{"an orphan of the manager above this process", tree.Process{Parent: manager, Mapped: true}, true},
		{"another's child", tree.Process{Parent: stranger, Mapped: true}, false},
		{"a dead one", tree.Process{Parent: 1}, false},
	} {
		c.p.PID = starting
		all := []tree.Process{{PID: 1, Mapped: true}, {PID: manager, Parent: 1}, {PID: stranger, Parent: 1}, {PID: os.Getpid(), Parent: manager, Mapped: true}, c.p}
		f := &family{leader: 1 << 27, mark: "MARK=none"}
		f.seen = map[int]verdict{1: {known: true}, os.Getpid(): {known: true}, manager: {known: true}, stranger: {known: true}}
		if live, unsure := f.members(all); unsure != c.want || live != nil {
			t.Errorf("%s: members = %v, unsure %v; want none, unsure %v", c.name, live, unsure, c.want)
		}
	}
}
