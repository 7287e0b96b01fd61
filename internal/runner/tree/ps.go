package tree

import (
	"strconv"
	"strings"
)

// columns are what parse reads, in the words of ps(1) that Linux and the BSDs share. lstart is five words: a date.
const columns = "pid=,ppid=,pgid=,sess=,stat=,rss=,lstart="

// parse reads the lines of ps. sess is an address on some systems; it is 0 then.
func parse(out string) []Process {
	var all []Process
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		if len(f) != 11 {
			continue
		}
		var n [6]int
		for i, s := range f[:6] {
			n[i], _ = strconv.Atoi(s)
		}
		if n[0] == 0 {
			continue
		}
		all = append(all, Process{
			PID: n[0], Parent: n[1], Group: n[2], Session: n[3],
			Start:  strings.Join(f[6:], " "),
			Memory: int64(n[5]) << 10,
			Mapped: n[5] > 0,
			Zombie: strings.HasPrefix(f[4], "Z"),
		})
	}
	return all
}
