package idempotency

import (
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// state is the fold of one partition. It is pure: what it knows of time the records say.
type state struct {
	max   int
	keys  map[Digest]*entry
	order []seen // the keys as they came, the oldest first, and some that are gone
}

// entry is a key as it stands.
type entry struct {
	claimed int64 // offset of the claim that holds
	last    int64 // and of its newest record
	expires int64 // in Unix seconds: when the answer is forgotten
	open    *open // nil = it is answered

	// yielded is what who was to make this attempt had to look through, and gave it up; nil = he has not. This node alone knows.
	yielded *Before
}

// open is a claim that is not answered.
type open struct {
	*record
	orphan bool          // nobody is going to answer it
	ended  chan struct{} // closed when it was answered, is another's or an orphan
}

func (o *open) giveUp() {
	if !o.orphan {
		o.orphan = true
		close(o.ended)
	}
}

// end is for who waits for it.
func (o *open) end() {
	if !o.orphan {
		close(o.ended)
	}
}

// seen is a key that came at an offset.
type seen struct {
	digest  Digest
	claimed int64
}

func newState(max int) *state { return &state{max: max, keys: map[Digest]*entry{}} }

// over says whether an entry binds nobody any more.
func (e *entry) over(now time.Time) bool {
	if e.open != nil {
		return !now.Before(e.open.Deadline)
	}
	return now.Unix() >= e.expires
}

// fold takes a claim or an answer, and says whether it holds.
func (s *state) fold(digest Digest, r *record, offset int64) bool {
	e := s.keys[digest]
	if r.Answer == nil {
		if e != nil && e.last != r.Expects && !e.over(r.At) {
			return false
		}
		s.put(digest, &entry{claimed: offset, last: offset, open: &open{record: r, ended: make(chan struct{})}})
		return true
	}
	// An answer was appended by who knew that its claim holds. What stands in its way is a claim that was made knowing of this one, when its
	// time was over; one that was made without did not hold, and only looks like it where compaction has taken the record that it lost against.
	if e != nil && e.claimed > r.Claimed && (e.open == nil || e.open.Expects >= r.Claimed) {
		return false
	}
	s.put(digest, &entry{claimed: r.Claimed, last: offset, expires: r.Expires.Unix()})
	return true
}

// free takes a claim away that is not answered.
func (s *state) free(digest Digest, claim string) {
	if e := s.keys[digest]; e != nil && e.open != nil && e.open.Claim == claim {
		delete(s.keys, digest)
		e.open.end()
	}
}

func (s *state) put(digest Digest, e *entry) {
	old := s.keys[digest]
	if old != nil && old.open != nil {
		old.open.end()
	}
	if old == nil || old.claimed != e.claimed {
		s.order = append(s.order, seen{digest, e.claimed})
	}
	s.keys[digest] = e
}

// past says whether an entry is of no use any more. A claim that is over binds nobody, but who comes again is the next attempt of its run.
func (e *entry) past(now time.Time) bool {
	if e.open != nil {
		return !now.Before(e.open.Deadline.Add(function.MaxKeep))
	}
	return e.over(now)
}

// forget drops the oldest keys while they are of no use any more, or there are too many: n of them before their time. Claims that are not over stay.
func (s *state) forget(now time.Time) (n int) {
	if len(s.order) > 2*len(s.keys)+1024 { // keys that became free, behind one that stays
		s.order = slices.DeleteFunc(s.order, func(o seen) bool {
			e := s.keys[o.digest]
			return e == nil || e.claimed != o.claimed
		})
	}
	for range len(s.order) {
		first := s.order[0]
		e := s.keys[first.digest]
		switch {
		case e == nil || e.claimed != first.claimed: // it is gone, or has come again
		case e.past(now):
			s.drop(first.digest, e)
		case len(s.keys) <= s.max:
			return n
		case e.over(now):
			s.drop(first.digest, e)
		case e.open != nil:
			s.order = append(s.order, first)
		default:
			n++
			s.drop(first.digest, e)
		}
		s.order = s.order[1:]
	}
	return n
}

func (s *state) drop(digest Digest, e *entry) {
	delete(s.keys, digest)
	if e.open != nil {
		e.open.end()
	}
}
