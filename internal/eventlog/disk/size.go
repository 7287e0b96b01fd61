package disk

import (
	"context"

	"github.com/dalamb/dalamb/internal/eventlog"
)

// Size is eventlog.Sizer's. It does not block.
func (l *Log) Size(_ context.Context, topic string) (bytes int64, err error) {
	l.view.RLock()
	defer l.view.RUnlock()
	t := l.topics[topic]
	if t == nil {
		return 0, eventlog.MissingTopic(topic, nil)
	}
	for _, p := range t.partitions {
		bytes += p.bytes.Load()
	}
	return bytes, nil
}
