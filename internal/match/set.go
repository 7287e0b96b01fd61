package match

import "github.com/dalamb/dalamb/internal/event"

// Rule is a pattern with the caller's value.
type Rule[T any] struct {
	Pattern *Pattern // nil matches nothing, so that what failed to parse cannot run for every event
	Value   T
}

// Set is an immutable index over rules, safe for concurrent use. To change it, make another and swap the pointer.
type Set[T any] struct {
	values []T
	m      *matcher
}

// NewSet indexes rules. The slice may be reused afterwards.
func NewSet[T any](rules []Rule[T]) *Set[T] {
	s := &Set[T]{values: make([]T, len(rules))}
	patterns := make([]*Pattern, len(rules))
	for i, r := range rules {
		s.values[i], patterns[i] = r.Value, r.Pattern
	}
	s.m = newMatcher(patterns)
	return s
}

// MatchEvent appends to dst the values of all rules that the structured form of e satisfies, in rule order.
func (s *Set[T]) MatchEvent(e *event.Event, dst []T) []T {
	x := s.m.get()
	defer s.m.put(x)
	x.readEvent(s.m, e)
	return s.collect(x, dst)
}

// MatchJSON does the same for any JSON object. The error is ErrNotObject; dst is then returned as it was.
func (s *Set[T]) MatchJSON(object []byte, dst []T) ([]T, error) {
	x := s.m.get()
	defer s.m.put(x)
	if !x.readObject(s.m, object) {
		return dst, ErrNotObject
	}
	return s.collect(x, dst), nil
}

func (s *Set[T]) collect(x *scratch, dst []T) []T {
	for _, i := range s.m.match(x) {
		dst = append(dst, s.values[i])
	}
	return dst
}
