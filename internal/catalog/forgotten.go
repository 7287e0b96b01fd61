package catalog

import (
	"context"

	"github.com/dalamb/dalamb/internal/event"
)

// Forget says in the control log, for good, that the events of a key are to be forgotten, when and by whom. The key is named by a digest: it is in the log beside
// what it was the key of, and is not to be in one place more.
type Forget struct {
	Digest string
	Topic  string // "" = all that are sealed
}

// Forgotten says whether a Forget of the digest was submitted, ever.
func (v *View) Forgotten(digest string) bool { return v.expects(forgottenEntity(digest)) >= 0 }

func forgottenEntity(digest string) string { return "forgotten/" + digest }

func (c Forget) event(_ context.Context, s scene) (*event.Event, error) {
	entity := forgottenEntity(c.Digest)
	return payload{Function: entity, Expects: s.view.expects(entity), Hash: c.Digest, Topic: c.Topic}.event(event.TypeKeyForgotten)
}
