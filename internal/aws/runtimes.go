package aws

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
)

// AWS's runtimes without a language, and the one of them that stands for all functions of other makers.
const (
	provided        = "provided"
	providedRuntime = "provided.al2023"
)

var (
	validHandler  = regexp.MustCompile(`^[^\s]{1,128}$`)
	pythonRuntime = regexp.MustCompile(`^python3\.[0-9]{1,2}$`)
	nodeRuntime   = regexp.MustCompile(`^nodejs[0-9]{1,2}\.x$`)
)

// entrypoint starts a handler in AWS's images of runtimes.
const entrypoint = "/lambda-entrypoint.sh"

// command is what starts a function of one of AWS's runtimes, and the image that it is laid upon; "" = none. The provided ones start the program
// bootstrap of the archive; those with a language are their image where the node has one, else its interpreter on the machine, and AWS's runtime client,
// which the archive or the machine has. code is the directory of the code; "" = nothing is known of it.
func (l *Lambda) command(runtime, handler, code string) (command []string, base string, err error) {
	if !validHandler.MatchString(handler) {
		return nil, "", badValue("Handler: %q is none; a runtime needs one, such as app.handler", fault.Clip(handler))
	}
	base, laid := l.o.Runtimes[runtime]
	if laid && !strings.HasPrefix(runtime, provided) { // of those the program is the archive's in any case
		return []string{entrypoint, handler}, base, nil
	}
	command, err = l.hostCommand(runtime, handler, code)
	return command, base, err
}

// hostCommand is what starts a function with the machine's own programs.
func (l *Lambda) hostCommand(runtime, handler, code string) ([]string, error) {
	switch {
	case runtime == "", strings.HasPrefix(runtime, provided):
		return []string{"./bootstrap"}, nil
	case pythonRuntime.MatchString(runtime):
		if !l.o.Find(runtime) {
			return nil, noInterpreter(runtime, runtime)
		}
		if !below(code, "awslambdaric") && !onMachine("/usr/lib/python3/dist-packages/awslambdaric", "/usr/local/lib/"+runtime+"/dist-packages/awslambdaric", "/usr/local/lib/"+runtime+"/site-packages/awslambdaric") {
			return nil, noClient(runtime, "awslambdaric", "pip install --target . awslambdaric")
		}
		return []string{runtime, "-m", "awslambdaric", handler}, nil
	case nodeRuntime.MatchString(runtime):
		const client = "node_modules/aws-lambda-ric/bin/index.mjs"
		if !l.o.Find("node") {
			return nil, noInterpreter(runtime, "node")
		}
		for _, root := range []string{"/usr/local/lib/", "/usr/lib/"} {
			if !below(code, client) && onMachine(root+client) {
				return []string{"node", root + client, handler}, nil
			}
		}
		if !below(code, client) {
			return nil, noClient(runtime, "aws-lambda-ric", "npm install aws-lambda-ric")
		}
		return []string{"node", client, handler}, nil
	}
	return nil, badValue("Value '%s' at 'runtime' failed to satisfy constraint: provided.al2023, provided.al2, python3.N or nodejsN.x", fault.Clip(runtime)).
		WithHint("the node's aws.runtimes names images of others; a runtime client in the archive, started by its program bootstrap, makes a provided runtime of any language: docs/runtimes.md")
}

func noInterpreter(runtime, program string) error {
	return badValue("Runtime: this machine has no %s, with which a function of %s would run", program, runtime).
		WithHint("install it, choose the runtime of one that is there, name an image of it in the node's aws.runtimes, or deploy one: PackageType Image")
}

func noClient(runtime, client, install string) error {
	return badValue("Runtime: neither the archive nor this machine has AWS's runtime client %s, with which a function of %s is started", client, runtime).
		WithHint("put it into the archive: %s", install)
}

// below says whether code has a file. Of code that is somewhere else nothing is known, and then it is taken to be there: it was when it came.
func below(code, name string) bool {
	if code == "" {
		return true
	}
	root, err := os.OpenRoot(code)
	if err != nil {
		return false
	}
	defer root.Close()
	_, err = root.Stat(name)
	return err == nil
}

func onMachine(paths ...string) bool {
	for _, path := range paths {
		if _, err := os.Stat(path); err == nil {
			return true
		}
	}
	return false
}

// onHost looks for a program where functions on base: host do.
func onHost(program string) bool {
	for _, dir := range []string{"/usr/local/bin", "/usr/bin", "/bin"} {
		if info, err := os.Stat(filepath.Join(dir, program)); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0 {
			return true
		}
	}
	return false
}
