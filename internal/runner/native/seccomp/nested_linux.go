//go:build amd64 || arm64

package seccomp

import "golang.org/x/sys/unix"

// mountings are the namespaces in which a nested command mounts. Of user namespaces it gets one, and the kernel makes no second.
const mountings = unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWUSER

// Nested is Default, and what a command needs beside it that is root of namespaces of its own and puts together roots for others: to
// mount in the ways that are known for long, and the marks of what a layer takes away.
func Nested() *Policy {
	p := Default()
	p.Allow = append(p.Allow, unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_CHROOT, unix.SYS_PIVOT_ROOT, unix.SYS_SETHOSTNAME)
	p.Bound[unix.SYS_CLONE] = []Clause{{{Arg: 0, Mask: namespaces &^ mountings}}}
	p.Bound[unix.SYS_UNSHARE] = []Clause{{{Arg: 0, Mask: namespaces &^ mountings}}}
	for call, mode := range makeNode() {
		p.Bound[call] = append(p.Bound[call], Clause{{Arg: mode, Mask: unix.S_IFMT, Value: unix.S_IFCHR}, is(mode+1, 0)}) // a whiteout // overlayfs.rst
	}
	return p
}
