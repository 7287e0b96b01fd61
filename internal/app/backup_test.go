package app_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/backup"
	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// TestARestoredNodeGoesOn is a restore drill: a node under load is backed up, twice, and killed; what was acknowledged before the last backup
// is done elsewhere, once the backup is restored there: orders, dead letters, code, secrets.
func TestARestoredNodeGoesOn(t *testing.T) {
	t.Parallel()
	above := t.TempDir()
	data, to, elsewhere := filepath.Join(above, "data"), filepath.Join(above, "backups"), filepath.Join(above, "elsewhere")
	n := start(t, data)
	ctx := t.Context()
	if _, err := n.client.SetSecret(ctx, "password", []byte("a secret value")); err != nil {
		t.Fatal(err)
	}
	n.deploy(shopCode(t, "process"), shop(self(t), mark())+`
---
name: holder
entry: {type: stdio, command: [sh, -c, 'printf %s "\"$SECRET\""']}
secrets: [{name: password, env: SECRET}]
`)
	o := &orders{acked: map[string]order{}}
	loading, enough := context.WithCancel(ctx)
	var sender sync.WaitGroup
	sender.Go(func() {
		for loading.Err() == nil && !n.ended() {
			o.send(n, 4)
		}
	})
	until(t, "orders", func() bool { o.mu.Lock(); defer o.mu.Unlock(); return len(o.acked) >= 30 })
	until(t, "a dead letter", func() bool { return len(n.runs(client.RunQuery{State: function.RunDead})) > 0 })
	take := func() (acked map[string]order, taken backup.Taken) {
		acked = map[string]order{}
		o.mu.Lock()
		for k, v := range o.acked {
			acked[k] = v
		}
		o.mu.Unlock()
		err := n.client.Checkpoint(ctx, func(ctx context.Context, at wire.Checkpoint) (err error) {
			if !strings.HasPrefix(at.Log, filepath.Join(data, "log")) {
				t.Errorf("the checkpoint is in %q", at.Log)
			}
			taken, err = backup.Take(ctx, backup.Options{To: backup.Place{Name: to}, Data: at.Data, Log: at.Log, Version: "test", Key: at.Key})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return acked, taken
	}
	take()
	acked, _ := take()
	until(t, "the checkpoints to be gone", func() bool {
		left, err := os.ReadDir(filepath.Join(data, "log", "checkpoints"))
		return err == nil && len(left) == 0
	})
	n.kill()
	enough()
	sender.Wait()

	if _, bad, err := backup.Verify(ctx, backup.Place{Name: to}, ""); err != nil || len(bad) > 0 {
		t.Fatalf("Verify = %v, %v", bad, err)
	}
	if _, err := backup.Restore(ctx, backup.Place{Name: to}, "", elsewhere); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(data, data+"-lost"); err != nil { // nothing of it is to be used
		t.Fatal(err)
	}
	r := start(t, elsewhere)
	t.Logf("%d orders were acknowledged before the backup, %d in all", len(acked), len(o.acked))
	before := &orders{acked: acked}
	until(t, "all orders to end", func() bool { return len(before.open(r)) == 0 })
	there := map[string]bool{}
	for _, f := range r.facts(function.TopicEvents) {
		there[f.Type+" "+f.Subject] = true
	}
	for number := range acked {
		if !there["order.requested "+number] {
			t.Errorf("order %s was acknowledged before the backup and is not in it", number)
		}
	}
	if got, err := r.client.Invoke(ctx, client.Invocation{Function: "holder", Payload: []byte("{}")}); err != nil || !strings.Contains(string(got.Payload), "a secret value") {
		t.Errorf("a function says of its secret %q, %v", got.Payload, err)
	}
	more := &orders{acked: map[string]order{}, sent: 100_000}
	more.send(r, 8)
	until(t, "new orders to end", func() bool { return len(more.open(r)) == 0 })
	r.stop()
}

// TestABackupThatLosesItsNodeIsTold: who copies while the node goes away hears of it, and the next start has no checkpoint.
func TestABackupThatLosesItsNodeIsTold(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	n := start(t, data)
	err := n.client.Checkpoint(t.Context(), func(ctx context.Context, at wire.Checkpoint) error {
		n.kill()
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(patience):
			t.Error("nobody was told")
			return nil
		}
	})
	if err == nil {
		t.Error("Checkpoint of a node that was killed = nil")
	}
	n = start(t, data)
	if _, err := os.Stat(filepath.Join(data, "log", "checkpoints")); !os.IsNotExist(err) {
		t.Errorf("a checkpoint of the last node is there still: %v", err)
	}
	n.stop()
}

// What keeps the node still for a backup ends with it: the node goes on, and stops as any other.
func TestANodeThatWasBackedUpStops(t *testing.T) {
	t.Parallel()
	n := start(t, filepath.Join(t.TempDir(), "data"), "drain=10m") // longer than the test waits: a stop that something holds up is not gentle
	for range 2 {
		if err := n.client.Checkpoint(t.Context(), func(context.Context, wire.Checkpoint) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "the checkpoints to be gone", func() bool {
		left, err := os.ReadDir(filepath.Join(n.data, "log", "checkpoints"))
		return err == nil && len(left) == 0
	})
	n.stop()
}
