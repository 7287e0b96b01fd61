package native

import (
	"fmt"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/runner"
	"github.com/dalamb/dalamb/internal/runner/native/inside"
)

// Kernel is a program that gives each function a kernel of its own: an OCI runtime whose containers do not share the host's. All else of
// a sandbox stays as it is, and the runtime is fenced in it with what it runs: in its namespaces, as its users, within its limits. It is for
// nodes that are root.
type Kernel struct {
	Program string // looked for in PATH
	// Run gives the arguments of the command that runs a container and stays for as long as it does, and its config.json.
	Run func(c Container) (args []string, config string, err error)

	// What the runtime and its kernel need of the host beside the function, which is let into its limits.
	Memory int64
	PIDs   int
}

// Container is what a Kernel's program is to run: a command, whose user may do in its kernel what makes a fence of it.
type Container struct {
	ID      string
	Network string // of the Spec; with "egress" the interface to be used is in the network namespace that the runtime is in
	Bundle  string // directory with config.json
	Root    string // the container's, never written to
	State   string // directory for the runtime's own
	Args    []string
	Env     []string
}

// threadsPerTask is how many of the host's threads one of a function's takes at most.
const threadsPerTask = 3

// setTask gives a task what its relay needs.
func (k *Kernel) setTask(t *inside.Task, s *runner.Spec) error {
	if k == nil {
		return nil
	}
	t.PIDs = int64(s.PIDs)
	args, config, err := k.Run(Container{
		ID: s.ID, Network: s.Network, Bundle: inside.BundleDir, Root: inside.ContainerRoot, State: inside.RuntimeDir,
		Args: []string{inside.GuestInit}, Env: inside.GuestEnv(),
	})
	t.Runtime, t.Bundle = append([]string{k.Program}, args...), config
	return err
}

// limits are what the host enforces of a function's, with what its kernel takes.
func (k *Kernel) limits(s *runner.Spec) *runner.Spec {
	if k == nil {
		return s
	}
	host := *s
	if s.Memory > 0 {
		host.Memory += k.Memory
	}
	if s.PIDs > 0 {
		host.PIDs = threadsPerTask*s.PIDs + k.PIDs
	}
	return &host
}

// mounts are of the programs that a relay starts: the way to their files may be closed to its users.
func (k *Kernel) mounts() ([]*os.File, error) {
	if k == nil {
		return nil, nil
	}
	program, err := exec.LookPath(k.Program)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "find the runtime: %w", err)
	}
	var all []*os.File
	for _, path := range []string{"/proc/self/exe", program} {
		fd, err := unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
		if err != nil {
			return all, fmt.Errorf("mount %s: %w", path, err)
		}
		all = append(all, os.NewFile(uintptr(fd), path))
	}
	return all, nil
}
