package entry

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/image"
	"github.com/dalamb/dalamb/internal/runner"
)

// extensionDir is where external extensions are, below an image's root or the code directory.
const extensionDir = "opt/extensions"

// ended says that the program of an external extension has.
type ended struct {
	program int
	exit    runner.Exit
}

// companions finds the external extensions of a version and adds them to what the sandbox is made from. They print to log lines of their own.
func (c *lambdaConn) companions(spec *runner.Spec) *InitError {
	programs := extensionPrograms(spec)
	if len(programs) == 0 {
		return nil
	}
	name := c.start.Version.Function()
	refused := func(typ, format string, args ...any) *InitError {
		return &InitError{Outcome: function.InitError, Failure: &function.Failure{Type: typ, Message: fmt.Sprintf(format, args...)}}
	}
	if len(programs) > maxExtensions {
		return refused("Extension.TooManyExtensions", "function %s has %d extensions in %s, at most %d can run", name, len(programs), extensionDir, maxExtensions)
	}
	if a, ok := c.entries.Runner.(runner.Accompanied); !ok || !a.Companions() {
		return refused("Extension.NotSupported", "function %s has extensions in %s, which runner %s cannot start; run it with --runner native, or leave them out",
			name, extensionDir, c.entries.Runner.Name())
	}
	c.ext.registered = make(chan struct{})
	c.ext.exits = make(chan ended, len(programs))
	for i, p := range programs {
		c.ext.programs = append(c.ext.programs, path.Base(p))
		out := newOutput(c.entries, c.start)
		out.emit = c.tee(kindExtension)
		c.outs = append(c.outs, out)
		spec.Companions = append(spec.Companions, runner.Companion{
			Command: []string{p}, Stdout: out.stream("stdout"), Stderr: out.stream("stderr"),
			Exited: func(x runner.Exit) { c.ext.exits <- ended{i, x} },
		})
	}
	spec.Hold = c.ext.registered
	return nil
}

// extensionPrograms are the paths, as the sandbox sees them, of the executable files in /opt/extensions, by name. The code's come before
// those of the image.
func extensionPrograms(spec *runner.Spec) []string {
	found := map[string]string{}
	take := func(name, prefix string, info fs.FileInfo, err error) {
		if found[name] == "" && err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			found[name] = prefix + "/" + extensionDir + "/" + name
		}
	}
	if spec.CodeDir != "" {
		lookInCode(spec.CodeDir, func(name string, info fs.FileInfo, err error) { take(name, runner.TaskRoot, info, err) })
	}
	layers := image.Merged(spec.Root)
	names, err := layers.Names(extensionDir)
	if err == nil { // most have none; of what else is wrong who starts the sandbox tells
		for _, name := range names {
			info, err := layers.Stat(path.Join(extensionDir, name))
			take(name, "", info, err)
		}
	}
	programs := slices.Collect(maps.Values(found))
	slices.SortFunc(programs, func(a, b string) int { return strings.Compare(path.Base(a), path.Base(b)) })
	return programs
}

// lookInCode lists what is among the extensions of a code directory. A link in it is the function's own: what it points to outside is the
// host's, and stays unseen.
func lookInCode(dir string, visit func(name string, info fs.FileInfo, err error)) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return // who starts the sandbox says so
	}
	defer root.Close()
	files, err := fs.ReadDir(root.FS(), extensionDir)
	if err != nil {
		return // most have none
	}
	for _, f := range files {
		info, err := root.Stat(path.Join(extensionDir, f.Name()))
		visit(f.Name(), info, err)
	}
}

// followExtensions takes note of programs that end, until the sandbox has.
func (c *lambdaConn) followExtensions() {
	if c.ext.exits == nil {
		return
	}
	for {
		select {
		case x := <-c.ext.exits:
			c.left(x)
		case <-c.box.Done():
			return
		}
	}
}

// left is what the end of an extension's program means: that of the instance, unless that was ending.
func (c *lambdaConn) left(x ended) {
	name := c.ext.programs[x.program]
	c.mu.Lock()
	told := false // of the end
	for _, e := range c.ext.all {
		if e.external && e.name == name {
			e.ended, e.poller = true, nil
		}
	}
	select {
	case <-c.stopped:
		told = true
	default:
	}
	c.settleRest()
	c.mu.Unlock()
	if told {
		return
	}
	f := &function.Failure{Type: "Extension.Crash", Message: fmt.Sprintf("extension %s ended with %s", name, exitText(x.exit))}
	if x.exit.Start != "" {
		f = &function.Failure{Type: "Extension.LaunchError", Message: "extension cannot start: " + x.exit.Start}
	} else if words := c.outs[x.program].lastWords(); words != "" {
		f.Message += ": " + words
	}
	c.fail(f)
}
