// Package enginetest opens the log that tests of behaviour run on: the embedded one in memory, or real Kafka brokers where there are some, so
// that the same tests hold on both engines. It does not test the log; eventlogtest does.
package enginetest

import (
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
	"github.com/dalamb/dalamb/internal/eventlog/eventlogtest"
	"github.com/dalamb/dalamb/internal/eventlog/kafka"
)

// Brokers are those to use instead of the embedded log; none without DALAMB_TEST_KAFKA=host:port,...
func Brokers() []string {
	if list := os.Getenv("DALAMB_TEST_KAFKA"); list != "" {
		return strings.Split(list, ",")
	}
	return nil
}

// Options of Open. The zero value is any empty log.
type Options struct {
	Dir string           // where an embedded log is; "" = in memory
	Now func() time.Time // a clock that only an embedded log can have: brokers have their own
	// OneNode asks for an engine where the newest node owns everything, so that older ones are as good as killed.
	OneNode bool
}

// Open opens an empty log: topics and groups of its own on the brokers, or an embedded log where there are none, or where only that will do.
func Open(o Options) (eventlog.Log, error) {
	if brokers := Brokers(); len(brokers) > 0 && !o.OneNode && o.Now == nil {
		name := strings.ToLower(rand.Text())
		l, err := kafka.Open(kafka.Options{Brokers: brokers, Node: name})
		if err != nil {
			return nil, fmt.Errorf("open Kafka: %w", err)
		}
		return eventlogtest.Namespace(l, name+"-"), nil
	}
	d := disk.Options{Dir: o.Dir, Now: o.Now, FreeSpace: func() (free, total uint64, err error) { return 1 << 40, 1 << 41, nil }}
	if o.Dir == "" {
		d.Dir, d.FS = "log", vfs.NewMem()
	}
	l, err := disk.Open(d)
	if err != nil {
		return nil, fmt.Errorf("open the embedded log: %w", err)
	}
	return l, nil
}
