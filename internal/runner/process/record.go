package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/runner/tree"
)

const recordName = "process.json"

// writeRecord says which process a sandbox's command is, for the next node when this one is killed.
func writeRecord(dir string, pid int) error {
	id, ok := tree.Identify(pid)
	if !ok {
		return nil // over already
	}
	b, err := id.Encode()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, recordName), b, 0o600); err != nil {
		return fmt.Errorf("write record of process %d: %w", pid, err)
	}
	return nil
}

// Recover implements runner.Runner.
func (r *Runner) Recover(ctx context.Context) (int, error) {
	dirs, err := os.ReadDir(r.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read state directory: %w", err)
	}
	n := 0
	settled := time.Now().Add(startWait)
	for _, d := range dirs {
		if err := ctx.Err(); err != nil {
			return n, fmt.Errorf("recover sandboxes: %w", err)
		}
		if err := r.recoverOne(d.Name(), settled); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func (r *Runner) recoverOne(id string, settled time.Time) error {
	dir := filepath.Join(r.dir, id)
	f := &family{mark: r.entry(id)}
	var rec tree.Identity
	b, err := os.ReadFile(filepath.Join(dir, recordName))
	if err == nil && json.Unmarshal(b, &rec) == nil {
		f.leader, f.start = rec.PID, rec.Start
	}
	if !f.kill(time.Now().Add(killWait), settled) {
		return fault.New(fault.Unavailable, "processes of sandbox %s, which an earlier node left, do not end", id).
			WithHint("end process %d and what it started by hand, then start again", rec.PID)
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove what sandbox %s left: %w", id, err)
	}
	return nil
}
