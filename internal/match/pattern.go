package match

import (
	"sync"

	"github.com/dalamb/dalamb/internal/event"
)

// Pattern is a compiled pattern. It is immutable and safe for concurrent use. A nil Pattern matches nothing.
type Pattern struct {
	// any holds the conjunctions that "$or" was multiplied out to; the pattern matches when one of them does.
	any []conjunction
	// self is the index over this pattern alone; a pattern that only ever lives in a Set never builds it.
	self func() *matcher
}

// conjunction is a list of fields that must all match, from consistent array elements. Their paths are distinct.
type conjunction []*field

// field is one path of a pattern with its alternatives.
type field struct {
	path   string // segments joined with dots
	tests  []test
	absent bool   // one of the alternatives is {"exists": false}
	source string // the alternatives as JSON, for messages
}

// Parse compiles one pattern, a JSON object. An error is a *PatternError. `{}` is valid and matches everything.
func Parse(pattern []byte) (*Pattern, error) {
	any, err := parse(pattern)
	if err != nil {
		return nil, err
	}
	return newPattern(any), nil
}

func newPattern(any []conjunction) *Pattern {
	p := &Pattern{any: any}
	p.self = sync.OnceValue(func() *matcher { return newMatcher([]*Pattern{p}) })
	return p
}

// MatchJSON says whether object, any JSON object, satisfies p. The error is ErrNotObject.
func (p *Pattern) MatchJSON(object []byte) (bool, error) {
	m := p.matcher()
	x := m.get()
	defer m.put(x)
	if !x.readObject(m, object) {
		return false, ErrNotObject
	}
	return len(m.match(x)) > 0, nil
}

// MatchEvent says whether the structured form of e satisfies p.
func (p *Pattern) MatchEvent(e *event.Event) bool {
	m := p.matcher()
	x := m.get()
	defer m.put(x)
	x.readEvent(m, e)
	return len(m.match(x)) > 0
}

func (p *Pattern) matcher() *matcher {
	if p == nil {
		return newMatcher(nil)
	}
	return p.self()
}
