package dispatch

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// ParkedEvents gives each event that waits long for its next attempt by a trigger, whether its topic has it still or not. It stops at the first error of
// each and returns it as it is. It reads all of _dalamb.delayed, so it is for once in a while.
func (d *Dispatcher) ParkedEvents(ctx context.Context, t *catalog.Trigger, each func(*event.Event) error) error {
	topic, err := d.topics.refresh(ctx, t.Topic)
	if err != nil {
		return err
	}
	for id := range topic.Partitions {
		prefix, kept := keysOf(topic.ID, id).delayedPrefix()+strconv.FormatInt(t.In(id), 10)+"/", map[string]*event.Event{}
		_, err := eventlog.ReadAll(ctx, d.log, eventlog.Partition{Topic: function.TopicDelayed, ID: id}, func(r *eventlog.Record) error {
			key := string(r.Key)
			switch {
			case !strings.HasPrefix(key, prefix):
			case r.Value == nil:
				delete(kept, key)
			default:
				one, err := decodeDelayed(r.Value)
				if err != nil {
					return err
				}
				kept[key] = one.event
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, key := range slices.Sorted(maps.Keys(kept)) {
			if err := each(kept[key]); err != nil {
				return err
			}
		}
	}
	return nil
}
