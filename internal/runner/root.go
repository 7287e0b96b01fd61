package runner

import (
	"path"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/dalamb/dalamb/internal/fault"
)

// MaxLayers is how many directories Spec.Root may have; images have no more.
const MaxLayers = 127

// MaxID is the largest user or group that a sandbox can know.
const MaxID = 65535

// User is who a command runs as, in the numbers that the sandbox sees. User 0 has no rights that others have not.
type User struct {
	UID, GID uint32
	Groups   []uint32 // beside GID; those that the machine does not let the sandbox have are left out
}

// checkRoot says what is wrong with the fields that an image sets.
func (s *Spec) checkRoot() error {
	switch {
	case len(s.Root) == 0 && s.Base != "host" && s.Base != "scratch":
		return fault.New(fault.Invalid, "base %q of function %s is neither host nor scratch", s.Base, s.Function)
	case len(s.Root) > 0 && s.Base != "":
		return fault.New(fault.Invalid, "function %s has the base %q and layers of its own", s.Function, s.Base)
	case len(s.Root) > MaxLayers:
		return fault.New(fault.Invalid, "function %s has %d layers, more than %d", s.Function, len(s.Root), MaxLayers)
	case s.WorkDir != "" && (!path.IsAbs(s.WorkDir) || path.Clean(s.WorkDir) != s.WorkDir):
		return fault.New(fault.Invalid, "working directory %q of function %s is not a clean absolute path", s.WorkDir, s.Function)
	case s.StopSignal != "" && unix.SignalNum(s.StopSignal) == 0:
		return fault.New(fault.Invalid, "stop signal %q of function %s is not the name of a signal", s.StopSignal, s.Function).
			WithHint("a name such as SIGTERM or SIGQUIT")
	}
	for _, dir := range s.Root {
		if !filepath.IsAbs(dir) {
			return fault.New(fault.Invalid, "layer %q of function %s is not an absolute path", dir, s.Function)
		}
	}
	if s.User == nil {
		return nil
	}
	for _, id := range append([]uint32{s.User.UID, s.User.GID}, s.User.Groups...) {
		if id > MaxID {
			return fault.New(fault.Invalid, "user or group %d of function %s is larger than %d", id, s.Function, MaxID)
		}
	}
	return nil
}

// WithoutRoot refuses what a runner without file systems and users of its own cannot give.
func (s *Spec) WithoutRoot(runner string) error {
	what := ""
	switch {
	case len(s.Root) > 0:
		what = "a root of its own, which its image is"
	case s.WorkDir != "":
		what = "the working directory " + s.WorkDir
	case s.User != nil:
		what = "a user of its own"
	default:
		return nil
	}
	return fault.New(fault.Unavailable, "function %s wants %s, which the runner %s does not have", s.Function, what, runner).
		WithHint("let it run by the runner native, which has images")
}

// Signal is the one that asks the command to end.
func (s *Spec) Signal() syscall.Signal {
	if sig := unix.SignalNum(s.StopSignal); sig != 0 {
		return sig
	}
	return syscall.SIGTERM
}
