package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// bench is what the rows share. One row is measured at a time.
type bench struct {
	table   table
	profile string // file of the node's CPU profile; "" = none
	row     string // that is being measured
	dir     string // of all that is made; removed at the end
	lab     *lab   // nil until a row asks for it
	ended   []func() error
}

func newBench(profile string) (*bench, error) {
	dir, err := os.MkdirTemp("", "dalamb-bench-*")
	if err != nil {
		return nil, err
	}
	// Functions run as another user, who has to get at their code.
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &bench{dir: dir, profile: profile, table: newTable()}, nil
}

// atEnd has f called when all rows are done, last come first.
func (b *bench) atEnd(f func() error) { b.ended = append(b.ended, f) }

func (b *bench) close() error {
	var err error
	for i := len(b.ended) - 1; i >= 0; i-- {
		err = errors.Join(err, b.ended[i]())
	}
	return errors.Join(err, os.RemoveAll(b.dir))
}

// program builds a program of hack/bench/testdata and returns its file, in a directory of its own that holds nothing else.
func (b *bench) program(ctx context.Context, name string) (string, error) {
	file := filepath.Join(b.dir, "code", name, name)
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", file, "./hack/bench/testdata/"+name)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
	}
	return file, nil
}

// interpreter finds a program where a function would find it. ok is false where the machine has none; the table says so.
func (b *bench) interpreter(name string) (file string, ok bool) {
	for _, dir := range []string{"/usr/local/bin", "/usr/bin", "/bin"} {
		file = filepath.Join(dir, name)
		if info, err := os.Stat(file); err == nil && info.Mode()&0o111 != 0 {
			return file, true
		}
	}
	b.note("skipped %s: it is not installed", name)
	return "", false
}

// add puts a line into the table.
func (b *bench) add(l line) {
	l.Row = b.row
	l.judge()
	b.table.Lines = append(b.table.Lines, l)
}

// note puts a remark under the table.
func (b *bench) note(format string, args ...any) {
	b.table.Notes = append(b.table.Notes, b.row+": "+fmt.Sprintf(format, args...))
}

// pause waits, so that what one measurement left behind does not disturb the next.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// copyInto puts a copy of a file into a directory.
func copyInto(dir, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, filepath.Base(file)), text, 0o644)
}
