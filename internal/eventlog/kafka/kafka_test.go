package kafka_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/eventlogtest"
	"github.com/dalamb/dalamb/internal/eventlog/kafka"
	"github.com/dalamb/dalamb/internal/need"
)

func mustOpen(t testing.TB, o kafka.Options) *kafka.Log {
	t.Helper()
	l, err := kafka.Open(o)
	if err != nil {
		t.Fatalf("Open() = %v", err)
	}
	return l
}

func TestConformance(t *testing.T) {
	brokers := strings.Split(need.Kafka(t), ",")
	eventlogtest.Run(t, func(t *testing.T) eventlogtest.Factory {
		name := fmt.Sprintf("t%d-%s", time.Now().UnixNano(), event.NewID()[:8])
		return eventlogtest.Factory{Open: func(t testing.TB) eventlog.Log {
			return eventlogtest.Namespace(mustOpen(t, kafka.Options{Brokers: brokers, Node: name}), name+"-")
		}}
	})
}
