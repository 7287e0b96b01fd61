package process

import (
	"syscall"

	"golang.org/x/sys/unix"
)

var platformNotes = []string{
	"When the node is killed its functions are killed too, but what they started may live until the next node.",
}

func sysProcAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
}

// limit forbids core dumps, which could be as large as the function's memory.
func limit(pid int) {
	_ = unix.Prlimit(pid, unix.RLIMIT_CORE, &unix.Rlimit{}, nil) // gone already is fine
}

// maxResident is in KiB here. // getrusage(2)
func maxResident(u *syscall.Rusage) int64 { return u.Maxrss << 10 }
