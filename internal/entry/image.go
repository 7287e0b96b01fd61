package entry

import (
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/runner"
)

// inImage gives a sandbox the root that its version's image is, and what the image says of its processes.
func inImage(spec *runner.Spec, s Start) {
	img := s.Version.Image
	if img == nil {
		return
	}
	spec.Base, spec.Root = "", s.Root
	spec.WorkDir, spec.StopSignal = img.WorkDir, img.Stop
	spec.User = &runner.User{UID: img.User.UID, GID: img.User.GID, Groups: img.User.Groups}
}

// imageEnviron is what an image says of the environment: before what the version says, after what is usual.
func imageEnviron(env map[string]string, img *function.Image) {
	if img == nil {
		return
	}
	for _, v := range img.Env {
		env[v.Name] = v.Value
	}
}
