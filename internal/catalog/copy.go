package catalog

import (
	"context"
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// keptCopies is how many copies that are over are known.
const keptCopies = 100

// Copy is a copy of a topic as it stands. It never changes; the fold replaces it.
type Copy struct {
	function.Copy
	End     map[int32]int64   `json:"end,omitempty"` // partition -> first offset that it leaves out; nothing when it follows
	Started time.Time         `json:"started"`
	Ended   *function.CopyEnd `json:"ended,omitempty"`
}

// same says whether two copies are of the same topic to the same topic, and so share how far they are.
func (c *Copy) same(d *function.Copy) bool { return c.FromID == d.FromID && c.ToID == d.ToID }

// StartCopy starts a copy of a topic; EndCopy ends it.
type (
	StartCopy struct {
		Copy function.Copy
		End  map[int32]int64
	}
	EndCopy struct{ Name, State, Reason string }
)

// copyPayload is what a copy.started or copy.ended event says beside what all control events say.
type copyPayload struct {
	function.Copy
	End    map[int32]int64 `json:"end,omitempty"`
	State  string          `json:"state,omitempty"`
	Reason string          `json:"reason,omitempty"`
}

func copyEntity(name string) string { return "copy/" + name }

func (c StartCopy) event(_ context.Context, at scene) (*event.Event, error) {
	name := c.Copy.Name
	for _, other := range at.view.Copies() {
		switch {
		case other.Name == name:
			return nil, fault.New(fault.Conflict, "there is a copy %q already", name).WithHint("choose another name with --as")
		case other.Ended == nil && other.same(&c.Copy):
			return nil, fault.New(fault.Conflict, "topic %q is being copied there already, by copy %q", other.From, other.Name).
				WithHint("dalamb copy show %s tells how far it is", other.Name)
		}
	}
	entity := copyEntity(name)
	p := payload{Function: entity, Expects: at.view.expects(entity), Copy: &copyPayload{Copy: c.Copy, End: c.End}}
	return p.event(event.TypeCopyStarted)
}

func (c EndCopy) event(_ context.Context, at scene) (*event.Event, error) {
	old, err := at.view.Copy(c.Name)
	if err != nil {
		return nil, err
	}
	if old.Ended != nil {
		return nil, fault.New(fault.Conflict, "copy %q is over already: it is %s", c.Name, old.Ended.State)
	}
	entity := copyEntity(c.Name)
	p := payload{Function: entity, Expects: at.view.expects(entity), Copy: &copyPayload{Copy: old.Copy, State: c.State, Reason: c.Reason}}
	return p.event(event.TypeCopyEnded)
}

// carry folds the start or the end of a copy, or says that it is not accepted.
func (s *settings) carry(typ string, p payload, at time.Time) bool {
	if p.Copy == nil {
		return false
	}
	i := slices.IndexFunc(s.Copies, func(c *Copy) bool { return c.Name == p.Copy.Name })
	if typ == event.TypeCopyEnded {
		if i < 0 || s.Copies[i].Ended != nil {
			return false
		}
		over := *s.Copies[i]
		over.Ended = &function.CopyEnd{At: at, State: p.Copy.State, Reason: p.Copy.Reason}
		s.Copies = slices.Clone(s.Copies)
		s.Copies[i] = &over
		s.forgetCopies()
		return true
	}
	// Another writer may have been first with the same topics under another name.
	if i >= 0 || slices.ContainsFunc(s.Copies, func(c *Copy) bool { return c.Ended == nil && c.same(&p.Copy.Copy) }) {
		return false
	}
	s.Copies = append(slices.Clone(s.Copies), &Copy{Copy: p.Copy.Copy, End: p.Copy.End, Started: at})
	return true
}

// forgetCopies leaves out the oldest of those that are over. s.Copies is the fold's own fresh copy.
func (s *settings) forgetCopies() {
	over := 0
	for i := len(s.Copies) - 1; i >= 0; i-- {
		if s.Copies[i].Ended == nil {
			continue
		}
		if over++; over > keptCopies {
			s.Copies = slices.Delete(s.Copies, i, i+1)
		}
	}
}

// Copies lists the copies of topics, the oldest first.
func (v *View) Copies() []*Copy { return v.settings.Copies }

// Copy returns a copy of a topic by its name, or NotFound with the nearest names.
func (v *View) Copy(name string) (*Copy, error) {
	var names []string
	for _, c := range v.settings.Copies {
		if c.Name == name {
			return c, nil
		}
		names = append(names, c.Name)
	}
	return nil, fault.Missing("copy", name, names)
}
