package tree

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"
)

// ticks is the unit of times in /proc: USER_HZ, which is 100 for every Linux program interface. // proc_pid_stat(5)
const ticks = 100

// Snapshot lists the processes of this machine that /proc shows.
func Snapshot() ([]Process, error) {
	boot, err := Boot()
	if err != nil {
		return nil, err
	}
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var all []Process
	for _, n := range names {
		pid, err := strconv.Atoi(n)
		if err != nil {
			continue
		}
		if p, ok := read(pid, boot); ok {
			all = append(all, p)
		}
	}
	return all, nil
}

// Find returns one process, and false when there is none.
func Find(pid int) (Process, bool) {
	boot, err := Boot()
	if err != nil {
		return Process{}, false
	}
	return read(pid, boot)
}

// IdentifySince is Identify for who keeps what Boot has said.
func IdentifySince(boot string, pid int) (id Identity, ok bool) {
	p, ok := read(pid, boot)
	return Identity{PID: pid, Start: p.Start}, ok
}

// Marked says whether the process was started with entry (KEY=value) in its environment. One that may not be looked at is
// another user's, and not. Not known is one that has no environment: it may just be being started.
func Marked(pid int, entry string) (marked, known bool) {
	env, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if errors.Is(err, fs.ErrPermission) {
		return false, true
	}
	if err != nil || len(env) == 0 {
		return false, false
	}
	return bytes.Contains(append([]byte{0}, env...), []byte("\x00"+entry+"\x00")), true
}

// Boot names this run of the machine. It stays the same for as long as a program runs.
func Boot() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read the machine's boot id: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// read takes one line of /proc/PID/stat apart: pid (comm) state ppid pgrp session ... The comm may hold anything, so the
// fields are counted from its last parenthesis. // proc_pid_stat(5)
func read(pid int, boot string) (Process, bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return Process{}, false
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(f) < 22 {
		return Process{}, false
	}
	const state, ppid, pgrp, session, utime, stime, starttime, vsize, rss = 0, 1, 2, 3, 11, 12, 19, 20, 21
	num := func(i int) int64 {
		n, _ := strconv.ParseInt(f[i], 10, 64) // the kernel prints numbers
		return n
	}
	return Process{
		PID: pid, Parent: int(num(ppid)), Group: int(num(pgrp)), Session: int(num(session)),
		Start:  boot + "/" + f[starttime],
		Memory: num(rss) * int64(os.Getpagesize()),
		Mapped: num(vsize) > 0,
		CPU:    time.Duration(num(utime)+num(stime)) * time.Second / ticks,
		Zombie: f[state] == "Z" || f[state] == "X",
	}, true
}
