package dispatch

import (
	"crypto/rand"
	"os"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
	"github.com/dalamb/dalamb/internal/eventlog/eventlogtest"
	"github.com/dalamb/dalamb/internal/eventlog/kafka"
)

// brokers are those that the tests of this package use instead of the embedded log; none without DALAMB_TEST_KAFKA=host:port,...
func brokers() []string {
	if list := os.Getenv("DALAMB_TEST_KAFKA"); list != "" {
		return strings.Split(list, ",")
	}
	return nil
}

// openEngine opens the log that a setting asks for: in memory, in a directory, or, where the tests run on Kafka, topics of its own there. A
// world with a clock of its own, or where nodes die by being replaced, is an embedded one in any case.
func openEngine(s setting) (eventlog.Log, error) {
	if len(brokers()) > 0 && s.now == nil && !s.oneNode {
		name := strings.ToLower(rand.Text())
		l, err := kafka.Open(kafka.Options{Brokers: brokers(), Node: name})
		if err != nil {
			return nil, err
		}
		return eventlogtest.Namespace(l, name+"-"), nil
	}
	o := disk.Options{Dir: s.dir, Now: s.now, FreeSpace: func() (uint64, uint64, error) { return 1 << 40, 1 << 41, nil }}
	if s.dir == "" {
		o.Dir, o.FS = "log", vfs.NewMem()
	}
	l, err := disk.Open(o)
	if err != nil {
		return nil, err
	}
	return l, nil
}
