package catalog

import (
	"context"
	"encoding/json"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
)

// maxNote bounds a note in bytes: every node holds all of them.
const maxNote = 256 << 10

// Note keeps something beside a function that no version needs to run, such as tags, for who speaks another API's language. It goes with the function,
// and makes no version.
type Note struct {
	Function, Key string
	Text          json.RawMessage // nil = take the note away
	Expects       *int64          // as of Shift
}

type notePayload struct {
	Key  string          `json:"key"`
	Text json.RawMessage `json:"text,omitempty"`
}

func (n Note) event(_ context.Context, at scene) (*event.Event, error) {
	f, err := at.view.Function(n.Function)
	if err != nil {
		return nil, err
	}
	if err := f.Unchanged(n.Expects); err != nil {
		return nil, err
	}
	if len(n.Text) > maxNote {
		return nil, fault.New(fault.TooLarge, "what is kept beside function %q would have %d bytes, more than %d", n.Function, len(n.Text), maxNote).
			WithHint("take away tags, permissions or descriptions that nobody needs")
	}
	p := payload{Function: n.Function, Expects: at.view.expects(n.Function), Note: &notePayload{Key: n.Key, Text: n.Text}}
	return p.event(event.TypeFunctionNoted)
}

// note changes f, which is the fold's own fresh copy, and puts it in place.
func (s *state) note(f *Function, n *notePayload, offset int64) {
	switch {
	case n.Text == nil:
		delete(f.Notes, n.Key)
	case f.Notes == nil:
		f.Notes = map[string]json.RawMessage{n.Key: n.Text}
	default:
		f.Notes[n.Key] = n.Text
	}
	f.Last = offset
	s.functions[f.Name] = f
}

// stands refuses what was decided upon another state of a function, as Function.Unchanged does of one that is there.
func (v *View) stands(name string, expects *int64) error {
	if f, there := v.functions[name]; there {
		return f.Unchanged(expects)
	}
	if expects == nil || *expects < 0 {
		return nil
	}
	return fault.New(fault.Conflict, "function %q is not there any more", name)
}
