package eventlogtest

import (
	"crypto/rand"
	"errors"
	"testing"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

var errNoSize = errors.New("the log below does not say what a topic takes")

// testSize is of a log that says what a topic takes.
func testSize(t *testing.T, f Factory) {
	l := open(t, f)
	sizer, can := l.(eventlog.Sizer)
	if !can {
		return // it need not
	}
	create(t, l, eventlog.Topic{Name: "a", Partitions: 2})
	create(t, l, eventlog.Topic{Name: "b", Partitions: 1})
	size := func(topic string) int64 {
		t.Helper()
		n, err := sizer.Size(t.Context(), topic)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	empty := size("a")
	const each, count = 10_000, 20
	noise := make([]byte, each) // which nothing makes smaller
	rand.Read(noise)
	for i := range count {
		if _, err := l.Append(t.Context(), []eventlog.Record{{Topic: "a", Partition: int32(i % 2), Value: noise}}); err != nil {
			t.Fatal(err)
		}
	}
	if n := size("a") - empty; n < each*count || n > each*count*11/10 {
		t.Errorf("%d records of %d bytes take %d", count, each, n)
	}
	if n := size("b"); n > each {
		t.Errorf("a topic without records takes %d bytes", n)
	}
	if _, err := sizer.Size(t.Context(), "none"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("of a topic that is not there: %v, want not found", err)
	}
}
