package health

import "math"

// The places of a spread: fineness in each doubling, from smallest on.
const (
	fineness = 4
	smallest = 1e-5 // seconds
	places   = 120  // up to three hours
)

// spread counts samples by their size, in places that are each a fifth wider than the one before. The zero value is empty.
type spread [places]uint32

func placeOf(v float64) int {
	if !(v > smallest) { // NaN is not
		return 0
	}
	return int(min(math.Log2(v/smallest)*fineness+1, places-1))
}

func (s *spread) add(v float64) { s[placeOf(v)]++ }

func (s *spread) merge(o *spread) {
	for i, n := range o {
		s[i] += n
	}
}

// quantile is the middle of the place in which the part q of n samples ends; 0 = there are none.
func (s *spread) quantile(q float64, n int) float64 {
	if n == 0 {
		return 0
	}
	left := uint64(math.Ceil(q * float64(n)))
	for i, count := range s {
		if uint64(count) >= left {
			return smallest * math.Exp2((float64(i)-.5)/fineness)
		}
		left -= uint64(count)
	}
	return smallest * math.Exp2(places/fineness)
}
