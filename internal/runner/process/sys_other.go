//go:build !linux

package process

import "syscall"

var platformNotes = []string{
	"When the node is killed its functions live until the next node starts.",
}

func sysProcAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// limit does nothing: there is no way to set another process's limits here.
func limit(int) {}

// maxResident is in bytes here. // getrusage(2) of macOS
func maxResident(u *syscall.Rusage) int64 { return u.Maxrss }
