package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// nfpm makes packages from a description: deploy/debian/nfpm.yaml. It is a tool with several hundred dependencies, none of which are dalamb's.
const nfpm = "github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.4"

// deb makes the Debian package and returns its path.
func (p *program) deb(ctx context.Context) (string, error) {
	built, err := os.MkdirTemp("", "dalamb-package-")
	if err != nil {
		return "", fmt.Errorf("make a directory: %w", err)
	}
	defer os.RemoveAll(built)
	manual, err := os.ReadFile("deploy/debian/dalamb.1")
	if err != nil {
		return "", fmt.Errorf("read the manual page: %w", err)
	}
	program := []string{p.binary}
	if p.arch != runtime.GOARCH { // which this machine cannot run
		program = []string{"go", "run", "./cmd/dalamb"}
	}
	completion, err := exec.CommandContext(ctx, program[0], append(program[1:], "completion", "bash")...).Output()
	if err != nil {
		return "", fmt.Errorf("have the program make its completion: %w", err)
	}
	change := fmt.Sprintf("dalamb (%s) stable; urgency=medium\n\n  * CHANGELOG.md tells what is new.\n\n -- The dalamb authors <dalamb@users.noreply.github.com>  %s\n",
		p.version, p.made.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	for name, text := range map[string][]byte{"dalamb.1.gz": packed(manual), "changelog.gz": packed([]byte(change)), "completion.bash": completion} {
		if err := os.WriteFile(filepath.Join(built, name), text, 0o600); err != nil {
			return "", fmt.Errorf("write %s: %w", name, err)
		}
	}
	at := filepath.Join(p.out, fmt.Sprintf("dalamb_%s_%s.deb", p.version, p.arch))
	tool := []string{"go", "run", nfpm}
	if _, err := os.Stat("bin/nfpm"); err == nil { // make tools has installed it
		tool = []string{"bin/nfpm"}
	}
	cmd := exec.CommandContext(ctx, tool[0], append(tool[1:], "package", "--config", "deploy/debian/nfpm.yaml", "--packager", "deb", "--target", at)...)
	cmd.Env = append(os.Environ(), "VERSION="+p.version, "ARCH="+p.arch, "BINARY="+p.binary, "BUILT="+built, fmt.Sprintf("SOURCE_DATE_EPOCH=%d", p.made.Unix()), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("run nfpm: %w\n%s", err, out)
	}
	return at, nil
}

// packed is a text as gzip -9n has it: without a name and a time.
func packed(text []byte) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // a level that there is
	w.Write(text)                                         // never fails: bytes.Buffer
	w.Close()
	return b.Bytes()
}
