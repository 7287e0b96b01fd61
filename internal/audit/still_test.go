package audit

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
)

func TestTheAuditStandsStillWhereTheLogContradictsIt(t *testing.T) {
	tests := []struct {
		name string
		do   func(r *rig)
		want string
	}{
		{"leaves cut off", func(r *rig) { truncate(r.t, r.files("orders", 0).leaves, 10*entrySize) }, "10 leaves, and 40 were signed"},
		{"leaf changed", func(r *rig) { flip(r.t, r.files("orders", 0).leaves, 36*entrySize+20) }, "leaf 36"},
		{"leaf changed, with its sum", func(r *rig) { r.forge("orders", 36, func(e *entry) { e.hash[0]++ }) }, "do not make the tree that was signed"},
		{"state changed", func(r *rig) { flip(r.t, filepath.Join(r.keep.Dir, stateFile), 40) }, "state"},
		{"trees of the state changed", func(r *rig) {
			path := filepath.Join(r.keep.Dir, stateFile)
			size, err := fileSize(path)
			if err != nil {
				r.t.Fatal(err)
			}
			flip(r.t, path, size-20)
		}, "other trees than those that were signed"},
		{"key lost", func(r *rig) { truncate(r.t, filepath.Join(r.keep.Dir, keyFile), 10) }, "holds no key that signs checkpoints"},
		{"halves of two keys", func(r *rig) {
			other := newRig(r.t)
			other.sign()
			text, err := os.ReadFile(filepath.Join(other.keep.Dir, publicFile))
			if err == nil {
				err = os.WriteFile(filepath.Join(r.keep.Dir, publicFile), text, 0o600)
			}
			if err != nil {
				r.t.Fatal(err)
			}
		}, "is not the public half"},
		{"another log", func(r *rig) {
			r.close()
			if err := os.RemoveAll(filepath.Join(r.data, "log")); err != nil {
				r.t.Fatal(err)
			}
			r.open()
		}, "_dalamb.checkpoints/0 ends at offset 0"},
		{"a pipe instead of the file outside", func(r *rig) {
			if err := errors.Join(os.Remove(r.file), syscall.Mkfifo(r.file, 0o600)); err != nil {
				r.t.Fatal(err)
			}
		}, "is no regular file"},
		{"another audit and the old file outside", func(r *rig) {
			if err := os.RemoveAll(r.keep.Dir); err != nil {
				r.t.Fatal(err)
			}
		}, "is signed by the key"},
		{"an older state and log than the file outside", func(r *rig) {
			text, err := os.ReadFile(r.file)
			if err != nil {
				r.t.Fatal(err)
			}
			c := &checkpoint{seq: 3, time: r.now.Now(), prev: r.keep.state.last}
			raw, err := sign(c.text(), r.keep.key)
			if err == nil {
				err = os.WriteFile(r.file, append(text, raw...), 0o600)
			}
			if err != nil {
				r.t.Fatal(err)
			}
		}, "ends with checkpoint 3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			r.topic(eventlog.Topic{Name: "orders", Partitions: 1})
			r.emit("orders", 0, 20)
			r.sign()
			r.emit("orders", 20, 20)
			r.sign()
			tt.do(r)
			r.again()
			if err := turn(t.Context(), r.keep); err != nil {
				t.Fatal(err)
			}
			if trouble := r.keep.State().Trouble; !strings.Contains(trouble, tt.want) {
				t.Errorf("trouble = %q, want %q in it", trouble, tt.want)
			}
			if _, err := r.keep.Prove(t.Context(), eventlog.Position{Topic: "orders"}); err == nil {
				t.Error("Prove of an audit that stands still: want an error")
			}
		})
	}
}

// A log that gets shorter while the audit runs, as Kafka's can where a broker that was behind is made the leader.
func TestARunningLogThatGetsShorter(t *testing.T) {
	r := newRig(t)
	r.topic(eventlog.Topic{Name: "orders", Partitions: 1})
	r.emit("orders", 0, 20)
	r.sign()
	r.keep.Log = &shorter{r.log}
	if err := turn(t.Context(), r.keep); err != nil {
		t.Fatal(err)
	}
	if trouble := r.keep.State().Trouble; !strings.Contains(trouble, "orders/0 ends at offset 15, and records up to 20 were there") {
		t.Errorf("trouble = %q, want that the log got shorter", trouble)
	}
}

type shorter struct{ *disk.Log }

func (s *shorter) Bounds(ctx context.Context, p eventlog.Partition) (eventlog.Bounds, error) {
	b, err := s.Log.Bounds(ctx, p)
	if p.Topic == "orders" {
		b.End -= 5
	}
	return b, err
}
