//go:build linux

package oci

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/runner"
	"github.com/dalamb/dalamb/internal/runner/runnertest"
)

// fake puts a program of this name into PATH that others may run, and returns the directory that it may write to.
func fake(t *testing.T, name, script string) (dir string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "dalamb-runtime-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.ReplaceAll(script, "DIR", dir)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return dir
}

// Nothing that has Kata's command line is to be had any more: this is the command line, and runc does as it says.
func TestKataRuntime(t *testing.T) {
	need.Root(t)
	need.Program(t, "runc")
	dir := fake(t, "kata-runtime", "#!/bin/sh\nrm -f DIR/line; echo \"$@\" >DIR/line\nexec runc \"$@\"\n")
	r, err := New(Options{Runtime: "kata-runtime", StateDir: filepath.Join(t.TempDir(), "state"), Spare: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	a, err := r.Check(t.Context())
	if err != nil || !a.Kernel || !a.Isolated {
		t.Fatalf("Check = %+v, %v (%s); want isolation by kernels of their own", a, err, fault.HintOf(err))
	}
	var mu sync.Mutex
	var out strings.Builder
	sb, err := r.Start(t.Context(), runner.Spec{
		ID: "kata-1", Function: "f", CodeDir: runnertest.Code(t), Base: "scratch", Network: "none", Command: []string{"./fn", "dial", runner.ListenAddr},
		Memory: 64 << 20, PIDs: 64, Listen: 9001, Stderr: func(p []byte) { t.Logf("%s", p) }, Stdout: func(p []byte) {
			mu.Lock()
			defer mu.Unlock()
			out.Write(p)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer sb.Stop(0)
	c, err := sb.Listener().Accept()
	if err != nil {
		<-sb.Done()
		t.Fatalf("%v; exit %+v", err, sb.Exit())
	}
	fmt.Fprint(c, "from the node")
	c.Close()
	<-sb.Done()
	mu.Lock()
	defer mu.Unlock()
	if e := sb.Exit(); e != (runner.Exit{}) || out.String() != "from the node" {
		t.Errorf("exit %+v, stdout %q; want code 0 and what the node said", e, out.String())
	}
	line, err := os.ReadFile(filepath.Join(dir, "line"))
	if want := `^--root /\S+ run --bundle /\S+ kata-1\n$`; err != nil || !regexp.MustCompile(want).Match(line) {
		t.Errorf("the runtime was told %q, %v; want %s", line, err, want)
	}
}

// A runtime that cannot make a kernel says why, and is not waited for.
func TestKernelThatDoesNotCome(t *testing.T) {
	need.Root(t)
	for name, c := range map[string]struct{ script, says string }{
		"silent":      {"#!/bin/sh\nexit 3\n", "it does not say why"},
		"says why":    {"#!/bin/sh\necho no luck today >&2\nexit 1\n", "no luck today"},
		"speaks else": {"#!/bin/sh\necho usage: kata-runtime kata-check\n", "does not keep to its rules"},
	} {
		t.Run(name, func(t *testing.T) {
			fake(t, "kata-runtime", c.script)
			r, err := New(Options{Runtime: "kata-runtime", StateDir: filepath.Join(t.TempDir(), "state"), Spare: -1})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if _, err := r.Check(t.Context()); fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), c.says) || fault.HintOf(err) == "" {
				t.Errorf("Check = %v, want an Unavailable fault with a hint and %q", err, c.says)
			}
		})
	}
}
