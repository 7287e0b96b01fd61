package need

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/dalamb/dalamb/internal/need/broker"
)

// Kafka needs an Apache Kafka broker and returns the address of one that all tests of this process share: they tell their
// topics, groups and transactions apart by name. It is started when the first test asks and ends with the process.
func Kafka(t testing.TB) string {
	t.Helper()
	if distribution(t) == nil {
		return ""
	}
	c, err := shared()
	if err != nil {
		t.Fatalf("start a Kafka broker: %v", err)
	}
	return c.Bootstrap()
}

// shared is the process's broker. It is not state that anybody changes; it is kept because a broker takes seconds to start,
// and there is no one but the process to own what all its tests use.
var shared = sync.OnceValues(func() (*broker.Cluster, error) {
	d, err := broker.Find()
	if err != nil {
		return nil, err
	}
	return broker.Start(context.Background(), d, broker.Options{})
})

// KafkaCluster needs brokers of the test's own, which it may kill. They are closed when the test ends.
func KafkaCluster(t testing.TB, o broker.Options) *broker.Cluster {
	t.Helper()
	c, err := broker.Start(t.Context(), distribution(t), o)
	if err != nil {
		t.Fatalf("start %d Kafka brokers: %v", max(1, o.Brokers), err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("stop the Kafka brokers: %v", err)
		}
	})
	return c
}

func distribution(t testing.TB) *broker.Distribution {
	t.Helper()
	if leftOut("kafka") {
		t.Skipf("skipped: needs a Kafka broker: left out by DALAMB_WITHOUT")
		return nil
	}
	d, err := broker.Find()
	if errors.Is(err, broker.ErrNotHere) {
		missing(t, "a Kafka broker: "+err.Error())
		return nil
	}
	if err != nil {
		t.Fatalf("look for Kafka: %v", err)
	}
	return d
}
