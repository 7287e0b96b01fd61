package inside

import (
	"syscall"
	"unsafe"
)

// Numbers that package syscall does not have; x/sys/unix would make every start of the program wait for its dependencies.
// The calls below have the same number on all architectures. // asm-generic/unistd.h
const (
	sysMoveMount    = 429
	sysCloseRange   = 436
	sysMountSetattr = 442

	atRecursive      = 0x8000
	moveMountFrom    = 0x4 // MOVE_MOUNT_F_EMPTY_PATH
	attrReadOnly     = 0x1
	attrNoSUID       = 0x2
	attrNoDev        = 0x4
	attrNoExec       = 0x8
	detach           = 0x2 // MNT_DETACH
	cloneNewCgroup   = 0x02000000
	prSetDumpable    = 4
	prCapBsetDrop    = 24
	prSetNoNewPrivs  = 38
	prCapAmbient     = 47
	ambientClearAll  = 4
	prSetSeccomp     = 22
	seccompFilter    = 2
	rlimitNProc      = 6
	rlimitMemLock    = 8
	rlimitSigPending = 11
	atCurrentDir     = ^uintptr(99) // AT_FDCWD, -100
	ioctlIfFlags     = 0x8914       // SIOCSIFFLAGS
	linkUpAndRunning = 0x1 | 0x40
)

func call(nr uintptr, args ...uintptr) error {
	var a [6]uintptr
	copy(a[:], args)
	_, _, errno := syscall.RawSyscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5])
	if errno != 0 {
		return errno
	}
	return nil
}

// moveMount attaches the detached mount that fd is at path. // move_mount(2)
func moveMount(fd int, path string) error {
	to, err := syscall.BytePtrFromString(path)
	if err != nil {
		return err
	}
	var empty [1]byte
	_, _, errno := syscall.RawSyscall6(sysMoveMount, uintptr(fd), uintptr(unsafe.Pointer(&empty[0])), atCurrentDir,
		uintptr(unsafe.Pointer(to)), moveMountFrom, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// setAttr adds attributes to the mount at path and, when recursive, to all below it. // mount_setattr(2)
func setAttr(path string, attr uint64, recursive bool) error {
	at, err := syscall.BytePtrFromString(path)
	if err != nil {
		return err
	}
	set := struct{ set, clear, propagation, userns uint64 }{set: attr}
	var flags uintptr
	if recursive {
		flags = atRecursive
	}
	_, _, errno := syscall.RawSyscall6(sysMountSetattr, atCurrentDir, uintptr(unsafe.Pointer(at)), flags,
		uintptr(unsafe.Pointer(&set)), unsafe.Sizeof(set), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// raiseLoopback sets the loopback interface up. // netdevice(7)
func raiseLoopback() error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	var req struct {
		name  [16]byte
		flags uint16
		_     [22]byte
	}
	copy(req.name[:], "lo")
	req.flags = linkUpAndRunning
	_, _, errno := syscall.RawSyscall(syscall.SYS_IOCTL, uintptr(fd), ioctlIfFlags, uintptr(unsafe.Pointer(&req)))
	if errno != 0 {
		return errno
	}
	return nil
}

// setFilter puts the seccomp program on this thread and what it starts. // seccomp(2), filter mode
func setFilter(program string) error {
	const instruction = 8
	if len(program) == 0 || len(program)%instruction != 0 {
		return syscall.EINVAL
	}
	b := []byte(program)
	prog := struct {
		n      uint16
		filter *byte
	}{uint16(len(b) / instruction), &b[0]}
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, prSetSeccomp, seccompFilter, uintptr(unsafe.Pointer(&prog)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// ignore sets a signal's action to SIG_IGN. // rt_sigaction(2)
func ignore(sig syscall.Signal) error {
	const sigIgn, setSize = 1, 8
	action := struct{ handler, flags, restorer, mask uintptr }{handler: sigIgn}
	_, _, errno := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&action)), 0, setSize, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// capabilities are those of a thread: effective, permitted, inheritable, and the same of the higher numbers. // capset(2), version 3
type capabilities [6]uint32

// do gets or sets them.
func (c *capabilities) do(nr uintptr) error {
	header := struct {
		version uint32
		pid     int32
	}{version: 0x20080522}
	_, _, errno := syscall.RawSyscall(nr, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(c)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// noCapabilities empties this thread's capability sets.
func noCapabilities() error { return new(capabilities).do(syscall.SYS_CAPSET) }

// inheritNothing keeps what this thread may from what it starts.
func inheritNothing() error {
	var c capabilities
	if err := c.do(syscall.SYS_CAPGET); err != nil {
		return err
	}
	c[2], c[5] = 0, 0
	return c.do(syscall.SYS_CAPSET)
}
