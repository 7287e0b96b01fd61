package oci

import (
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// startWithout starts c where the given mounts are not seen.
func startWithout(c *exec.Cmd, hidden []string) error {
	if hidden == nil {
		return c.Start()
	}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with this goroutine, and its mounts with it
		if unix.Gettid() == unix.Getpid() {
			// The first thread does not end, and what it sees is what /proc/self shows: another one, while this one is kept.
			defer runtime.UnlockOSThread()
			done <- startWithout(c, hidden)
			return
		}
		done <- startHere(c, hidden)
	}()
	return <-done
}

func startHere(c *exec.Cmd, hidden []string) error {
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return os.NewSyscallError("unshare", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return os.NewSyscallError("mount", err)
	}
	for _, dir := range hidden {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			return os.NewSyscallError("umount", err)
		}
	}
	return c.Start()
}

// unified lists where cgroups of version 2 are mounted on a machine that has such of version 1 too. crun before 1.9 refuses to work on
// such hybrid machines at all ("cgroups in hybrid mode not supported"), whatever it is told to use.
func unified() ([]string, error) {
	text, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil, err
	}
	var points []string
	hybrid := false
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line) // fstab(5): what, where, type
		switch {
		case len(f) < 3:
		case f[2] == "cgroup":
			hybrid = true
		case f[2] == "cgroup2":
			points = append(points, f[1])
		}
	}
	if !hybrid {
		return nil, nil
	}
	return points, nil
}
