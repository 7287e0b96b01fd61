package catalog

import (
	"context"
	"maps"
	"slices"

	"github.com/dalamb/dalamb/internal/event"
)

// Seek lets a trigger go on from other places in its topic, as if it had just come to be there: it gets another UID, so that what
// was finished before is run again where it stands behind the new place, with other run ids. What the trigger had pending is discarded.
type Seek struct {
	Function, Trigger string
	TopicID           string          // of the topic that To is about
	To                map[int32]int64 // partition -> offset
	// Partial leaves the partitions that To does not name where they are; else those begin at 0.
	Partial bool
}

func (s Seek) event(_ context.Context, at scene) (*event.Event, error) {
	t, err := at.view.Trigger(s.Function, s.Trigger)
	if err != nil {
		return nil, err
	}
	p := payload{
		Function: s.Function, Expects: at.view.expects(s.Function), Trigger: s.Trigger,
		Begins: Begins{s.Trigger: s.To}, Topics: topicIDs{t.Topic: s.TopicID}, Partial: s.Partial,
	}
	return p.event(event.TypeTriggerSought)
}

// maxWas is how many of a trigger's former UIDs are known: a partition that nobody owned since is told of them when it is owned again.
const maxWas = 64

// seek moves a trigger of f, which is the fold's own fresh copy.
func (s *state) seek(f *Function, p payload, b birth) bool {
	for i, t := range f.Triggers {
		if t.Name != p.Trigger || t.Topic == "" {
			continue
		}
		moved := *t
		moved.Began = b.at
		moved.Was = slices.Clone(t.Was)
		if p.Partial {
			moved.Sought, moved.Start = maps.Clone(t.Sought), maps.Clone(t.Start)
			if !t.about(b.topics[t.Topic]) {
				moved.Start = nil // it was about a topic that is no more
			}
			if moved.Sought == nil {
				moved.Sought = map[int32]int64{}
			}
			if moved.Start == nil {
				moved.Start = map[int32]int64{}
			}
			for partition, offset := range p.Begins[t.Name] {
				moved.Was = append(moved.Was, t.In(partition))
				moved.Sought[partition], moved.Start[partition] = b.uid(i), offset
			}
		} else {
			moved.Was = append(append(moved.Was, slices.Sorted(maps.Values(t.Sought))...), t.UID)
			moved.UID, moved.Sought, moved.Start = b.uid(i), nil, maps.Clone(p.Begins[t.Name])
		}
		moved.TopicID = b.topics[t.Topic]
		moved.Was = moved.Was[max(0, len(moved.Was)-maxWas):]
		f.Triggers[i] = &moved
		f.Last = b.offset
		s.functions[f.Name] = f
		s.touch(f)
		return true
	}
	return false
}
