package native

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/dalamb/dalamb/internal/runner"
	"github.com/dalamb/dalamb/internal/runner/egress"
	"github.com/dalamb/dalamb/internal/runner/native/inside"
)

// deviceHint is the remedy where the device that ways out are made of is not to be had.
const deviceHint = "modprobe tun; an ordinary user's node also needs chmod 666 /dev/net/tun, and one in a container --device /dev/net/tun"

// ownNet says whether a sandbox has a network namespace of its own.
func ownNet(s *runner.Spec) bool { return s.Network != "host" }

// mostFlows leaves half of the descriptors that the node may have to all else, and bounds the memory of the buffers: of half a MiB each
// at the worst.
func mostFlows() int64 {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 512
	}
	return int64(min(limit.Cur/2, 8192))
}

// tryDevice says why there can be no way out of a sandbox.
func tryDevice() error {
	fd, err := inside.OpenTUN()
	if err != nil {
		return fmt.Errorf("open /dev/net/tun: %w", err)
	}
	return unix.Close(fd)
}

// openDevice opens the device of ways out in the network namespace of pid. The init of a node that is root could not where the device is
// root's alone: on the host it is somebody else. An ordinary user's node may not enter the namespace, but there the init has its rights.
func openDevice(pid int) (*os.File, error) {
	type opened struct {
		file *os.File
		err  error
	}
	result := make(chan opened)
	go func() {
		runtime.LockOSThread() // for good where the thread cannot return: it ends with the goroutine then
		f, back, err := openIn(fmt.Sprintf("/proc/%d/ns/net", pid))
		if back {
			runtime.UnlockOSThread()
		}
		result <- opened{f, err}
	}()
	r := <-result
	if r.err != nil {
		return nil, fmt.Errorf("open /dev/net/tun for a sandbox: %w", r.err)
	}
	return r.file, nil
}

// openIn takes this thread to a network namespace, opens the device there and goes back, or says that it could not.
func openIn(namespace string) (f *os.File, back bool, err error) {
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, true, err
	}
	defer home.Close()
	there, err := os.Open(namespace)
	if err != nil {
		return nil, true, err
	}
	defer there.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		return nil, true, os.NewSyscallError("setns", err)
	}
	fd, err := inside.OpenTUN()
	back = unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil
	if err != nil {
		return nil, back, os.NewSyscallError("open", err)
	}
	return os.NewFile(uintptr(fd), "tun"), back, nil
}

// carryOut takes the node's end of the sandbox's way out.
func (sb *sandbox) carryOut(fd int) error {
	if err := unix.SetNonblock(fd, true); err != nil {
		return errors.Join(os.NewSyscallError("fcntl", err), unix.Close(fd))
	}
	way, err := egress.Open(egress.Options{
		Device: os.NewFile(uintptr(fd), "tun"), Allow: sb.spec.Allow, Budget: sb.flows, Log: sb.log,
	})
	sb.way = way
	return err
}
