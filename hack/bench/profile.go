package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// nodeProgram is the program that nodes run: bin/dalamb, or where a profile is wanted hack/bench/profiled.
func (b *bench) nodeProgram(ctx context.Context) (string, error) {
	if b.profile == "" {
		return binary, nil
	}
	file := filepath.Join(b.dir, "profiled")
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	if out, err := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", file, "./hack/bench/profiled").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the profiled node: %w\n%s", err, out)
	}
	return file, nil
}

// profiling begins (true) or ends the node's CPU profile, where one is wanted. The file has the last one.
func (b *bench) profiling(n *node, on bool) error {
	sig := syscall.SIGUSR2
	switch {
	case b.profile == "":
		return nil
	case on:
		sig = syscall.SIGUSR1
	}
	if err := n.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("profile the node: %w", err)
	}
	return nil
}
