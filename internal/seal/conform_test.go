package seal

import (
	"context"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
	"github.com/dalamb/dalamb/internal/eventlog/eventlogtest"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/secret"
)

// asGiven shows what was appended: without the header by which a seal is known, and the topic of its keys.
type asGiven struct{ eventlog.Log }

func (l asGiven) Read(ctx context.Context, p eventlog.Partition, from int64, o eventlog.ReadOptions) ([]eventlog.Record, error) {
	rs, err := l.Log.Read(ctx, p, from, o)
	for i := range rs {
		rs[i].Headers = eventlog.Unsealed(rs[i].Headers)
	}
	return rs, err
}

func (l asGiven) Topics(ctx context.Context) ([]eventlog.Topic, error) {
	ts, err := l.Log.Topics(ctx)
	return slices.DeleteFunc(ts, func(t eventlog.Topic) bool { return t.Name == function.TopicSeals }), err
}

// TestTheLogConforms holds a log all of whose topics are sealed to the port's contract.
func TestTheLogConforms(t *testing.T) {
	eventlogtest.Run(t, func(t *testing.T) eventlogtest.Factory {
		fs, key := vfs.NewMem(), filepath.Join(t.TempDir(), "key")
		return eventlogtest.Factory{Open: func(t testing.TB) eventlog.Log {
			d, err := disk.Open(disk.Options{Dir: "log", FS: fs, FreeSpace: func() (uint64, uint64, error) { return 1 << 40, 1 << 41, nil }})
			if err != nil {
				t.Fatal(err)
			}
			if err := d.CreateTopic(t.Context(), eventlog.Topic{Name: function.TopicSeals, Partitions: 1, Compact: true}); err != nil && fault.KindOf(err) != fault.Conflict {
				t.Fatal(err)
			}
			box, err := secret.Open(t.Context(), secret.Options{File: key})
			if err != nil {
				t.Fatal(err)
			}
			l, _, err := Over(Options{Log: d, Box: box, Sealed: func(topic string) bool { return topic != function.TopicSeals }})
			if err != nil {
				t.Fatal(err)
			}
			return asGiven{l}
		}}
	})
}
