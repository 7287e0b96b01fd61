package native

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/runner/tree"
)

const recordSuffix = ".json"

func (r *Runner) recordFile(id string) string { return filepath.Join(r.dir, id+recordSuffix) }

// writeRecord says which process a sandbox's init is, for the next node when this one is killed. All else that a killed node
// leaves is in its cgroups or ends with the init.
func writeRecord(file string, id tree.Identity) error {
	b, err := id.Encode()
	if err != nil {
		return err
	}
	err = os.WriteFile(file, b, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return fmt.Errorf("make state directory: %w", err)
		}
		err = os.WriteFile(file, b, 0o600)
	}
	if err != nil {
		return fmt.Errorf("write record of init %d: %w", id.PID, err)
	}
	return nil
}

func removeRecord(file string) error {
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove record: %w", err)
	}
	return nil
}

// Recover implements runner.Runner.
func (r *Runner) Recover(ctx context.Context) (int, error) {
	entries, err := os.ReadDir(r.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("read state directory: %w", err)
	}
	n := 0
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), recordSuffix) {
			continue
		}
		if err := endRecorded(ctx, filepath.Join(r.dir, e.Name())); err != nil {
			return n, err
		}
		n++
	}
	if r.maker != nil {
		if err := r.maker.Recover(ctx, r.serial.made); err != nil {
			return n, fmt.Errorf("remove what an earlier node left: %w", err)
		}
	}
	if err := r.recoverCgroups(); err != nil {
		return n, fault.New(fault.Unavailable, "remove cgroups that an earlier node left: %w", err).
			WithHint("see what runs in it (cgroup.procs), end that, then start again")
	}
	if r.traces != nil {
		gone, err := r.traces.orphans(ctx)
		if err != nil {
			r.log.Warn("what other nodes left on this machine is not removed", "err", err)
		}
		for _, state := range gone {
			r.log.Info("removed what a killed node left on this machine, whose data directory is gone", "path", state)
		}
	}
	return n, nil
}

// leaveTraces notes what this node makes outside of its state directory.
func (r *Runner) leaveTraces(c *cgroups) error {
	if r.traces == nil {
		return nil
	}
	var made []string
	for _, h := range c.ours() {
		made = append(made, h.dir)
	}
	if r.maker != nil {
		made = append(made, r.maker.Outside()...)
	}
	return r.traces.leave(r.name, r.dir, made)
}

// recoverCgroups kills and removes what is in our cgroups, but for what this runner itself has made already.
func (r *Runner) recoverCgroups() error {
	for name, g := range r.groups().left() {
		if r.serial.made(name) {
			continue
		}
		g.kill()
		if err := g.remove(); err != nil {
			return err
		}
	}
	return r.removeForeign(r.groups())
}

// endRecorded kills a killed node's init, if it has not ended by itself yet, and waits until it is gone.
func endRecorded(ctx context.Context, file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read record: %w", err)
	}
	var rec tree.Identity
	if json.Unmarshal(b, &rec) == nil { // half a record: the node was killed before the sandbox got its task
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		again := time.NewTicker(5 * time.Millisecond)
		defer again.Stop()
		for rec.Lives() {
			_ = syscall.Kill(rec.PID, syscall.SIGKILL) // gone already is what we want
			select {
			case <-ctx.Done():
				return fault.New(fault.Unavailable, "process %d, which an earlier node left, does not end: %w", rec.PID, ctx.Err()).
					WithHint("end it by hand, then start again")
			case <-again.C:
			}
		}
	}
	return removeRecord(file)
}
