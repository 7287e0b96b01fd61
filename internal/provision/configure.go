package provision

import (
	"path"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// defaultPort is where an http function listens when neither its manifest nor its image says it.
const defaultPort = 8080

// configure takes over from an image's config what the spec does not say itself. // OCI image-spec config.md#properties
func (k *Keeper) configure(spec *function.Spec, img *function.Image, c *v1.Config) error {
	command := slices.Concat(c.Entrypoint, c.Cmd)
	if len(spec.Entry.Command) == 0 {
		if len(command) == 0 || command[0] == "" {
			return fault.New(fault.Invalid, "image %s has neither entrypoint nor cmd, and function %q no command", img.Reference, spec.Name).
				WithHint("say what to start, with entry.command in the manifest or ENTRYPOINT in the image")
		}
	}
	img.Give(spec, command, exposed(c))
	for _, e := range c.Env {
		name, value, ok := strings.Cut(e, "=")
		if !ok || name == "" || strings.ContainsRune(e, 0) {
			return fault.New(fault.Invalid, "image %s has the environment variable %q, which is not NAME=VALUE", img.Reference, e).WithHint("build the image again")
		}
		img.Env = append(img.Env, function.Var{Name: name, Value: value})
	}
	if spec.Image != "" && c.WorkingDir != "" { // code that lies upon an image runs where it lies
		img.WorkDir = path.Clean("/" + c.WorkingDir)
	}
	var err error
	if img.Stop, err = stopSignal(c.StopSignal); err != nil {
		return fault.New(fault.Invalid, "image %s: %w", img.Reference, err).WithHint("a name such as SIGTERM or SIGQUIT")
	}
	dirs, err := k.Root(img)
	if err != nil {
		return err
	}
	img.User, err = findUser(dirs, c.User)
	if err != nil {
		return fault.New(fault.Invalid, "image %s: %w", img.Reference, err).WithHint("set USER in the image to a number, or to a name that is in its /etc/passwd")
	}
	return nil
}

// exposed is the lowest TCP port that an image says it listens on.
func exposed(c *v1.Config) int {
	port := 0
	for p := range c.ExposedPorts {
		number, protocol, _ := strings.Cut(p, "/")
		n, err := strconv.Atoi(number)
		if err == nil && n > 0 && n < 1<<16 && (protocol == "" || protocol == "tcp") && (port == 0 || n < port) {
			port = n
		}
	}
	if port == 0 {
		return defaultPort
	}
	return port
}

// stopSignal gives the name of a signal that may be written as a number, or without SIG.
func stopSignal(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	name := strings.ToUpper(s)
	if n, err := strconv.Atoi(s); err == nil {
		name = unix.SignalName(unix.Signal(n))
	} else if !strings.HasPrefix(name, "SIG") {
		name = "SIG" + name
	}
	if unix.SignalNum(name) == 0 {
		return "", fault.New(fault.Invalid, "its stop signal %q is not known", s)
	}
	return name, nil
}
