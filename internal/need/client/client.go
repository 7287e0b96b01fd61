// Package client has AWS's own runtime clients, unmodified, for tests: for each language a small function that uses one, and
// the recipe that makes a code directory of it; extensions as they are published; and a server of WebSockets. It does not run them: the tests of entry do, as functions.
//
// Each directory of recipes is one client: install.sh runs in a copy of it, and what is there afterwards is the code directory. It
// is kept under a name that hangs on all of the recipe, so that a changed one is made anew.
package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed recipes
var recipes embed.FS

// Client is one runtime client or server, in a function, or one extension.
type Client struct {
	Name     string   // of its recipe
	Language string   // for people
	Package  string   // AWS's name of it, and its version
	Programs []string // that the recipe and the function need; names on PATH
	Command  []string // that runs the function
}

// All are the runtime clients.
func All() []Client {
	return []Client{
		{"python", "Python", "`awslambdaric` 4.2.2", []string{"/usr/bin/python3"},
			[]string{"/usr/bin/python3", "-m", "awslambdaric", "function.handle"}},
		{"node", "Node.js", "`aws-lambda-ric` 3.3.0", []string{"node", "npm", "cmake", "autoconf", "automake", "libtoolize", "c++", "make", "python3"},
			[]string{"node", "node_modules/aws-lambda-ric/bin/index.mjs", "function.handle"}},
		{"java", "Java", "`aws-lambda-java-runtime-interface-client` 2.9.0", []string{"javac", "jlink", "mvn"},
			[]string{"jre/bin/java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-cp", "lib/*:.",
				"com.amazonaws.services.lambda.runtime.api.client.AWSLambda", "Function::handle"}},
		{"rust", "Rust", "`lambda_runtime` 1.5.0", []string{"cargo"}, []string{"./bootstrap"}},
		{"shell", "shell and curl", "none: the contract of `provided`", []string{"curl"}, []string{"./bootstrap"}},
	}
}

// WebAdapter is an extension of AWS's that is the runtime, too: it makes requests of invocations, to the server that Command starts.
func WebAdapter() Client {
	return Client{"web-adapter", "AWS Lambda Web Adapter", "`lambda_web_adapter` 1.0.0-rc1", []string{"cargo"}, []string{"/usr/bin/python3", "function.py"}}
}

// OTelExtension is an extension that hears what the Logs API tells, and sends it to a collector of OpenTelemetry.
func OTelExtension() Client {
	return Client{"otel-extension", "Serverless' OpenTelemetry extension", "`@serverless/aws-lambda-otel-extension-dist` 0.1.11",
		[]string{"node", "npm", "python3"}, []string{"node", "observed.mjs"}}
}

// TelemetryExtension is one by AWS's client of the Telemetry API: it says what that understands of the records.
func TelemetryExtension() Client {
	return Client{"telemetry", "an extension by AWS's client of the Telemetry API", "`lambda-extension` 1.1.1", []string{"cargo"}, []string{"/usr/bin/python3", "told.py"}}
}

// Extensions are published extensions, and one by a published client, in code directories that still lack the function. Command runs that of
// the tests.
func Extensions() []Client { return []Client{WebAdapter(), OTelExtension(), TelemetryExtension()} }

// WebSockets is a server of WebSockets in Python, in a function that echoes.
func WebSockets() Client {
	return Client{"websockets", "Python's websockets", "`websockets` 15.0.1", []string{"/usr/bin/python3"}, []string{"/usr/bin/python3", "function.py"}}
}

// AWSTools are AWS's command line and its SDK for Python. Command begins each of the former's commands; the directory has to be in PYTHONPATH.
func AWSTools() Client {
	return Client{"aws-tools", "AWS's tools", "`awscli` 1.44.13, `boto3` 1.42.23", []string{"/usr/bin/python3"}, []string{"/usr/bin/python3", "-m", "awscli"}}
}

// AWSJavaScript is AWS's SDK for JavaScript. Command runs a script; it looks for packages beside that, so that the directory's node_modules has to be there.
func AWSJavaScript() Client {
	return Client{"aws-js", "AWS's SDK for JavaScript", "`@aws-sdk/client-lambda` 3.957.0", []string{"node", "npm"}, []string{"node"}}
}

// Everything is what there are recipes for.
func Everything() []Client {
	return append(slices.Concat(All(), Extensions()), WebSockets(), AWSTools(), AWSJavaScript())
}

// ErrNotHere says that the client or extension is not installed; what wraps it says why.
var ErrNotHere = errors.New("it is not here")

// Find returns the code directory that Install made. Everybody may read it.
func (c Client) Find() (string, error) {
	for _, p := range c.Programs[:1] { // that runs it
		if _, err := exec.LookPath(p); err != nil {
			return "", fmt.Errorf("%w: %w", ErrNotHere, err)
		}
	}
	dir, err := c.place()
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(dir); err != nil {
		return "", fmt.Errorf("%w: go run ./hack/clients installs it", ErrNotHere)
	}
	return dir, nil
}

// place hangs on the recipe.
func (c Client) place() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNotHere, err)
	}
	sum := sha256.New()
	root := c.recipe()
	err = fs.WalkDir(recipes, root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := recipes.ReadFile(path)
		fmt.Fprintf(sum, "%s %d\n", path, len(text))
		sum.Write(text)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("read the recipe of %s: %w", c.Name, err)
	}
	return filepath.Join(cache, "dalamb", "client-"+c.Name+"-"+hex.EncodeToString(sum.Sum(nil)[:6])), nil
}

func (c Client) recipe() string { return "recipes/" + c.Name }

// Install makes the code directory, whole or not at all. It does nothing when that is there.
func (c Client) Install(ctx context.Context) error {
	if _, err := c.Find(); err == nil {
		return nil
	}
	for _, p := range c.Programs {
		if _, err := exec.LookPath(p); err != nil {
			return fmt.Errorf("%w: %w", ErrNotHere, err)
		}
	}
	dir, err := c.place()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return fmt.Errorf("make the directory of %s: %w", c.Name, err)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), "install-")
	if err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	defer os.RemoveAll(tmp)
	if err := c.make(ctx, tmp); err != nil {
		return fmt.Errorf("install what there is for %s: %w", c.Language, err)
	}
	if err := os.Rename(tmp, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("keep what there is for %s: %w", c.Language, err)
	}
	return nil
}

func (c Client) make(ctx context.Context, dir string) error {
	recipe, err := fs.Sub(recipes, c.recipe())
	if err != nil {
		return err
	}
	if err := os.CopyFS(dir, recipe); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "install.sh")
	cmd.Dir = dir
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w\n%s", err, strings.TrimSpace(out.String()))
	}
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		mode := info.Mode().Perm() | 0o444 // functions run under a user of their own
		if d.IsDir() || mode&0o100 != 0 {
			mode |= 0o555
		}
		return os.Chmod(path, mode)
	})
}
