package incoming

import (
	"encoding/json"
	"slices"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// maxTold bounds the deliveries that are over and known, in each partition.
const maxTold = 1000

// story is what a partition of the topic of hooks says, folded.
type story struct {
	all   map[string]*function.HookFinished // by id
	order []string                          // as they were received last
	last  map[string]string                 // hook and ref -> the commit that was delivered last
	told  map[string]bool                   // ids of those that the server knows the outcome of
}

func newStory() *story {
	return &story{all: map[string]*function.HookFinished{}, last: map[string]string{}, told: map[string]bool{}}
}

func lane(r *function.HookReceived) string { return r.Hook + " " + r.Ref }

// fold takes a record in. What cannot be read was written by a newer dalamb, and is left to that.
func (s *story) fold(r *eventlog.Record) error {
	s.take(r)
	return nil
}

// take folds a record, and returns the delivery that is to be acted upon from now on; nil where it says none.
func (s *story) take(r *eventlog.Record) *function.HookFinished {
	e, err := eventlog.ToEvent(*r)
	if err != nil {
		return nil
	}
	switch e.Type {
	case event.TypeHookReceived:
		var told function.HookReceived
		if json.Unmarshal(e.Data, &told) != nil {
			return nil
		}
		if old := s.all[e.ID]; old != nil && old.State != function.HookFailed {
			return nil // told again
		}
		d := &function.HookFinished{HookReceived: told, ID: e.ID, State: function.HookWaiting}
		s.order = append(slices.DeleteFunc(s.order, func(id string) bool { return id == e.ID }), e.ID)
		s.all[e.ID] = d
		delete(s.told, e.ID) // what came of it the last time
		return d
	case event.TypeHookFinished:
		var over function.HookFinished
		if json.Unmarshal(e.Data, &over) == nil && s.all[over.ID] != nil {
			s.finish(over)
		}
	case event.TypeHookReported:
		var told function.HookReported
		if json.Unmarshal(e.Data, &told) == nil {
			s.told[told.ID] = true
		}
	}
	return nil
}

// finish says what came of a delivery, and returns the ids of those that are known no longer.
func (s *story) finish(over function.HookFinished) (forgotten []string) {
	s.all[over.ID] = &over
	if over.State == function.HookDelivered {
		s.last[lane(&over.HookReceived)] = over.After
	}
	finished := 0
	for i := len(s.order) - 1; i >= 0; i-- {
		id := s.order[i]
		if s.all[id].State == function.HookWaiting {
			continue
		}
		if finished++; finished > maxTold {
			delete(s.all, id)
			delete(s.told, id)
			s.order = slices.Delete(s.order, i, i+1)
			forgotten = append(forgotten, id)
		}
	}
	return forgotten
}

// repeats says whether a delivery that waits tells of the commit that its branch had last, by a delivery before it that was carried out or is about to
// be: who sends a request again, under whatever id, must not end what is under way.
func (s *story) repeats(d *function.HookFinished) bool {
	if d.After == "" {
		return false
	}
	last := s.last[lane(&d.HookReceived)]
	for _, id := range s.order {
		one := s.all[id]
		if id == d.ID {
			break
		}
		if one.State == function.HookWaiting && lane(&one.HookReceived) == lane(&d.HookReceived) {
			last = one.After
		}
	}
	return last == d.After
}

// waiting are those to be acted upon, in their order.
func (s *story) waiting() []*function.HookFinished {
	var list []*function.HookFinished
	for _, id := range s.order {
		if s.all[id].State == function.HookWaiting {
			list = append(list, s.all[id])
		}
	}
	return list
}

// newest are the deliveries of a hook, the newest first.
func (s *story) newest(hook string, most int) []function.HookFinished {
	list := []function.HookFinished{}
	for _, id := range slices.Backward(s.order) {
		if d := s.all[id]; d.Hook == hook && len(list) < most {
			list = append(list, *d)
		}
	}
	return list
}
