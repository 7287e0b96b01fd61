package dispatch

import (
	"context"
	"fmt"
	"sync"

	"github.com/dalamb/dalamb/internal/eventlog"
)

// topics remembers which topics there are.
type topics struct {
	log eventlog.Log

	mu    sync.Mutex
	known map[string]eventlog.Topic
}

// check returns NotFound with the nearest names when a topic is not there.
func (t *topics) check(ctx context.Context, name string) error {
	_, err := t.get(ctx, name)
	return err
}

// partitions is how wide a topic was when somebody last looked; 0 = not known.
func (t *topics) partitions(name string) int32 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.known[name].Partitions
}

func (t *topics) get(ctx context.Context, name string) (eventlog.Topic, error) {
	t.mu.Lock()
	topic, ok := t.known[name]
	t.mu.Unlock()
	if ok {
		return topic, nil
	}
	return t.refresh(ctx, name)
}

// refresh lists the topics anew and looks name up.
func (t *topics) refresh(ctx context.Context, name string) (eventlog.Topic, error) {
	all, err := t.log.Topics(ctx)
	if err != nil {
		return eventlog.Topic{}, fmt.Errorf("list topics: %w", err)
	}
	known := make(map[string]eventlog.Topic, len(all))
	names := make([]string, 0, len(all))
	for _, topic := range all {
		known[topic.Name] = topic
		names = append(names, topic.Name)
	}
	t.mu.Lock()
	t.known = known
	t.mu.Unlock()
	if topic, ok := known[name]; ok {
		return topic, nil
	}
	return eventlog.Topic{}, eventlog.MissingTopic(name, names)
}

// forget makes the next check look at the log.
func (t *topics) forget() {
	t.mu.Lock()
	t.known = nil
	t.mu.Unlock()
}
