package kafka_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/eventlogtest"
	"github.com/dalamb/dalamb/internal/eventlog/kafka"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/need"
)

func TestConformance(t *testing.T) {
	brokers := need.Kafka(t)
	eventlogtest.Run(t, func(*testing.T) eventlogtest.Factory {
		name := "conformance-" + event.NewID()
		return eventlogtest.Factory{Open: func(t testing.TB) eventlog.Log {
			return eventlogtest.Namespace(mustOpen(t, node(brokers, name)), name+"-")
		}}
	})
}

// node is the options of a node with a short patience for others.
func node(brokers, name string) kafka.Options {
	return kafka.Options{
		Brokers: strings.Split(brokers, ","), Node: name, SessionTimeout: time.Second, TransactionTimeout: 20 * time.Second,
	}
}

func mustOpen(t testing.TB, o kafka.Options) *kafka.Log {
	t.Helper()
	l, err := kafka.Open(o)
	if err != nil {
		t.Fatalf("Open(%v) = %v", o.Brokers, err)
	}
	return l
}

// open opens a log that is closed at the end of the test.
func open(t testing.TB, o kafka.Options) *kafka.Log {
	t.Helper()
	l := mustOpen(t, o)
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	return l
}

// patience bounds what must happen but has no time of its own.
const patience = 60 * time.Second

func ctx(t testing.TB) context.Context {
	c, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return c
}

// newTopic makes a topic that no other test knows of.
func newTopic(t testing.TB, l *kafka.Log, settings eventlog.Topic) string {
	t.Helper()
	settings.Name = "t-" + event.NewID()
	if err := l.CreateTopic(ctx(t), settings); err != nil {
		t.Fatalf("CreateTopic(%+v) = %v", settings, err)
	}
	return settings.Name
}

func mustAppend(t testing.TB, l *kafka.Log, rs ...eventlog.Record) []eventlog.Position {
	t.Helper()
	ps, err := l.Append(ctx(t), rs)
	if err != nil {
		t.Fatalf("Append(%d records) = %v", len(rs), err)
	}
	return ps
}

func rec(topic string, partition int32, value string) eventlog.Record {
	return eventlog.Record{Topic: topic, Partition: partition, Value: []byte(value)}
}

// valuesOf reads a partition to its end.
func valuesOf(t testing.TB, l *kafka.Log, p eventlog.Partition) []string {
	t.Helper()
	var all []string
	for from := int64(0); ; {
		rs, err := l.Read(ctx(t), p, from, eventlog.ReadOptions{NoWait: true})
		if err != nil {
			t.Fatalf("Read(%v, %d) = %v", p, from, err)
		}
		if len(rs) == 0 {
			return all
		}
		for _, r := range rs {
			all = append(all, string(r.Value))
			from = r.Offset + 1
		}
	}
}

func wantKind(t testing.TB, call string, err error, want fault.Kind) {
	t.Helper()
	if got := fault.KindOf(err); err == nil || got != want {
		t.Fatalf("%s = %v of kind %q, want kind %q", call, err, got, want)
	}
}

// network is a node's connections, which a test can freeze: nothing that the node says is heard, and it hears nothing, as
// when the node is stopped by a signal.
type network struct{ still sync.RWMutex }

func (n *network) freeze() { n.still.Lock() }
func (n *network) thaw()   { n.still.Unlock() }

func (n *network) dial(ctx context.Context, kind, address string) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, kind, address)
	if err != nil {
		return nil, err
	}
	return &frozenConn{c, n}, nil
}

type frozenConn struct {
	net.Conn
	net *network
}

func (c *frozenConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.net.still.RLock()
	defer c.net.still.RUnlock()
	return n, err
}

func (c *frozenConn) Write(b []byte) (int, error) {
	c.net.still.RLock()
	defer c.net.still.RUnlock()
	return c.Conn.Write(b)
}
