package alert

import "hash/maphash"

// mostSeen is how many attempts each half of seen holds. The records that tell of one attempt stand close together: with the end of a batch those of its events, and
// with a run's last failure its dead letter.
const mostSeen = 50_000

// seen knows which attempts were met lately, so that what more than one record tells of is counted once. It holds numbers made of their ids, and no more of them however
// many fail: when the newer half is full it takes the place of the older.
type seen struct {
	seed         maphash.Seed
	newer, older map[uint64]struct{}
}

func newSeen() seen { return seen{seed: maphash.MakeSeed(), newer: map[uint64]struct{}{}} }

// add notes an attempt, and says whether it was there.
func (s *seen) add(id string) (again bool) {
	n := maphash.String(s.seed, id)
	_, newer := s.newer[n]
	_, older := s.older[n]
	if newer {
		return true
	}
	if len(s.newer) == mostSeen {
		s.newer, s.older = map[uint64]struct{}{}, s.newer
	}
	s.newer[n] = struct{}{}
	return older
}
