package runner

import (
	"path"
	"path/filepath"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
)

// MountRoot is where a sandbox sees what Spec.Mounts shows it: nothing else is there, on any base.
const MountRoot = "/build"

// MaxMounts is how many a Spec may have.
const MaxMounts = 16

// MountOwner is who the files of a Mount belong to on the disk of a node that is root, whoever the sandbox is on the host: the number
// that the function's usual user has in it. Who makes such a directory gives it to this user and group.
const MountOwner = 1000

// Mount is a directory of the host that a sandbox sees beside its code: what a build works in, and what it keeps for the next one.
// On a node that is not root its files are the node's own user's.
type Mount struct {
	Dir      string // on the host, absolute
	At       string // where the sandbox sees it: one name below MountRoot
	Writable bool
}

// checkMounts says what is wrong with s.Mounts.
func (s *Spec) checkMounts() error {
	if len(s.Mounts) == 0 {
		if s.Nested {
			return fault.New(fault.Invalid, "function %s makes namespaces of its own, and has no mounts to work in", s.Function)
		}
		return nil
	}
	if len(s.Mounts) > MaxMounts {
		return fault.New(fault.Invalid, "function %s has %d mounts, more than %d", s.Function, len(s.Mounts), MaxMounts)
	}
	if s.Base != "host" && s.Base != "scratch" || s.User != nil {
		return fault.New(fault.Invalid, "function %s has mounts, which an image or a user of its own excludes", s.Function)
	}
	taken := map[string]bool{}
	for _, m := range s.Mounts {
		name, below := strings.CutPrefix(m.At, MountRoot+"/")
		switch {
		case !filepath.IsAbs(m.Dir) || filepath.Clean(m.Dir) != m.Dir:
			return fault.New(fault.Invalid, "mount %q of function %s is not a clean absolute path", m.Dir, s.Function)
		case !below || name == "" || strings.Contains(name, "/") || path.Clean(m.At) != m.At:
			return fault.New(fault.Invalid, "mount %q of function %s is not one name below %s", m.At, s.Function, MountRoot)
		case taken[name]:
			return fault.New(fault.Invalid, "function %s has two mounts at %s", s.Function, m.At)
		}
		taken[name] = true
	}
	return nil
}

// WithoutMounts refuses what a runner cannot give that has no file systems of its own, or another kernel's.
func (s *Spec) WithoutMounts(runner string) error {
	if len(s.Mounts) == 0 {
		return nil
	}
	return fault.New(fault.Unavailable, "%s works in directories of the host, which the runner %s cannot show", s.Function, runner).
		WithHint("let it run by the runner native")
}
