package kubernetes

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// module is where it is written, from the project's root, what kube-apiserver is made of. It is a module of its own: what Kubernetes takes is no
// dependency of dalamb, and no test of dalamb compiles it.
const module = "hack/kube/apiserver"

// source is the package that is built there.
const source = "k8s.io/kubernetes"

// ErrNotHere says that this machine cannot run the API; what wraps it says why.
var ErrNotHere = errors.New("no Kubernetes API can run here")

// Distribution is where the programs are.
type Distribution struct{ server, etcd string }

// Find looks for what Build left, and for etcd. The error is ErrNotHere when something is missing.
func Find() (*Distribution, error) {
	etcd, err := exec.LookPath("etcd")
	if err != nil {
		return nil, fmt.Errorf("%w: etcd is not on PATH", ErrNotHere)
	}
	_, server, err := place()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(server); err != nil {
		return nil, fmt.Errorf("%w: kube-apiserver has not been built (go run ./hack/kube build)", ErrNotHere)
	}
	return &Distribution{server: server, etcd: etcd}, nil
}

// place is the module's directory, and the program that is made of it: another go.sum makes another.
func place() (dir, program string, err error) {
	if dir, err = os.Getwd(); err != nil {
		return "", "", fmt.Errorf("%w: %w", ErrNotHere, err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, module, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			return "", "", fmt.Errorf("%w: %s is not above this directory", ErrNotHere, module)
		}
		dir = filepath.Dir(dir)
	}
	dir = filepath.Join(dir, module)
	sum := sha256.New()
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return "", "", fmt.Errorf("read what kube-apiserver is made of: %w", err)
		}
		fmt.Fprintf(sum, "%s %d\n%s", name, len(text), text)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", "", fmt.Errorf("%w: %w", ErrNotHere, err)
	}
	return dir, filepath.Join(cache, "dalamb", "kube-apiserver-"+hex.EncodeToString(sum.Sum(nil)[:6])), nil
}

// Build compiles kube-apiserver, which takes minutes, whole or not at all. It does nothing when that is there. What the compiler says goes to out.
func Build(ctx context.Context, out io.Writer) error {
	dir, program, err := place()
	if err != nil {
		return err
	}
	if _, err := os.Stat(program); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(program), 0o755); err != nil {
		return fmt.Errorf("make the directory of kube-apiserver: %w", err)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(program), "build-")
	if err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	defer os.RemoveAll(tmp)
	var said bytes.Buffer
	if err := goCommand(ctx, dir, &said, out, "list", "-m", "-f", "{{.Version}}", source); err != nil {
		return err
	}
	version := strings.TrimSpace(said.String()) // without it the server takes itself for none
	parts := strings.Split(strings.TrimPrefix(version, "v"), ".")
	if len(parts) < 2 {
		return fmt.Errorf("build kube-apiserver: its version is %q", version)
	}
	const stamp = "-X k8s.io/component-base/version."
	flags := "-s -w " + stamp + "gitVersion=" + version + " " + stamp + "gitMajor=" + parts[0] + " " + stamp + "gitMinor=" + parts[1]
	built := filepath.Join(tmp, "kube-apiserver")
	if err := goCommand(ctx, dir, out, out, "build", "-ldflags", flags, "-o", built, source+"/cmd/kube-apiserver"); err != nil {
		return err
	}
	if err := os.Rename(built, program); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("keep kube-apiserver: %w", err)
	}
	return nil
}

func goCommand(ctx context.Context, dir string, out, errs io.Writer, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, errs
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build kube-apiserver: go %s: %w", args[0], err)
	}
	return nil
}
