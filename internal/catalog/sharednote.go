package catalog

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
)

// Bounds of shared notes: every node holds all of them.
const (
	maxSharedNote  = 32 << 10 // bytes of one
	maxSharedNotes = 2000
	// maxForgotten is of how many notes that are gone it is known since when, so that a change decided upon the note is refused. A note that is forgotten
	// altogether is as one that there never was.
	maxForgotten = 1000
)

// SharedNote keeps something that belongs to no function, for who speaks another API's language: a rule that has no target yet, an archive. It runs
// nothing by itself.
type SharedNote struct {
	Key  string
	Text json.RawMessage // nil = take the note away
	// Expects is what View.SharedNote said of the note that the change was decided upon. Another one is a Conflict.
	Expects int64
}

const sharedNotePrefix = "note/"

func sharedNoteEntity(key string) string { return sharedNotePrefix + key }

func (n SharedNote) event(_ context.Context, at scene) (*event.Event, error) {
	entity, notes := sharedNoteEntity(n.Key), at.view.settings.Notes
	last := at.view.expects(entity)
	if last != n.Expects {
		return nil, changedMeanwhile(entity)
	}
	_, there := notes[n.Key]
	switch {
	case n.Text == nil && !there:
		return nil, fault.Missing("note", n.Key, slices.Sorted(maps.Keys(notes)))
	case len(n.Text) > maxSharedNote:
		return nil, fault.New(fault.TooLarge, "what is kept as %q would have %d bytes, more than %d", n.Key, len(n.Text), maxSharedNote)
	case n.Text != nil && !there && len(notes) >= maxSharedNotes:
		return nil, fault.New(fault.Exhausted, "%d notes are kept already: %q is one too many", len(notes), n.Key).WithHint("delete rules, archives or replays that nobody needs")
	}
	return payload{Function: entity, Expects: last, Note: &notePayload{Key: n.Key, Text: n.Text}}.event(event.TypeNoteChanged)
}

// remember folds an event about a shared note; ok is false for another one.
func (s *settings) remember(typ string, p payload) (ok bool) {
	if p.Note == nil || typ != event.TypeNoteChanged {
		return false
	}
	s.Notes = maps.Clone(s.Notes)
	if s.Notes == nil {
		s.Notes = map[string]json.RawMessage{}
	}
	if p.Note.Text == nil {
		delete(s.Notes, p.Note.Key)
	} else {
		s.Notes[p.Note.Key] = p.Note.Text
	}
	return true
}

// forgetNotes keeps the newest of the offsets of notes that are gone. What is kept follows from the events alone, whatever snapshot a node began with.
func (s *state) forgetNotes() {
	var gone []string
	for entity := range s.last {
		key, is := strings.CutPrefix(entity, sharedNotePrefix)
		if _, there := s.settings.Notes[key]; is && !there {
			gone = append(gone, entity)
		}
	}
	if len(gone) <= maxForgotten {
		return
	}
	slices.SortFunc(gone, func(x, y string) int { return cmp.Compare(s.last[x], s.last[y]) })
	for _, entity := range gone[:len(gone)-maxForgotten] {
		delete(s.last, entity)
	}
}

// SharedNote is the text of a shared note, nil = there is none, and what a change of it expects.
func (v *View) SharedNote(key string) (text json.RawMessage, expects int64) {
	return v.settings.Notes[key], v.expects(sharedNoteEntity(key))
}

// SharedNotes lists the keys of shared notes that begin with a text, sorted.
func (v *View) SharedNotes(prefix string) []string {
	var keys []string
	for key := range v.settings.Notes {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}
