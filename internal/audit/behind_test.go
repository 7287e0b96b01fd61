package audit

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/eventlog"
)

// holed is a log that cannot read one topic from an offset on.
type holed struct {
	Log
	topic string
	from  int64
}

func (h *holed) Read(ctx context.Context, p eventlog.Partition, from int64, o eventlog.ReadOptions) ([]eventlog.Record, error) {
	if p.Topic == h.topic && from >= h.from {
		return nil, errors.New("checksum mismatch")
	}
	return h.Log.Read(ctx, p, from, o)
}

func TestATopicThatCannotBeReadHoldsUpNoOther(t *testing.T) {
	r := newRig(t)
	r.topic(eventlog.Topic{Name: "bad", Partitions: 1})
	r.topic(eventlog.Topic{Name: "orders", Partitions: 1})
	r.emit("bad", 0, 5)
	r.emit("orders", 0, 5)
	r.sign()
	r.keep.Log = &holed{r.log, "bad", 5}
	r.emit("bad", 5, 5)
	for i := range 3 {
		r.emit("orders", 5+i, 1)
		r.sign()
	}
	s := r.keep.State()
	if s.Checkpoint != 4 || len(s.Behind) != 1 || !strings.Contains(s.Behind[0], "read bad/0: checksum mismatch") {
		t.Errorf("State = %+v, want 4 checkpoints, and that bad/0 is behind", s)
	}
	r.keep.Log = r.log
	r.sign()
	if s := r.keep.State(); s.Checkpoint != 5 || len(s.Behind) != 0 {
		t.Errorf("State = %+v, want 5 checkpoints and nothing behind", s)
	}
	r.clean()
}
