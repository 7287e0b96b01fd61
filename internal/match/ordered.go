package match

import (
	"cmp"
	"slices"
	"strings"
)

// affixes finds which of many texts a value begins with. Sorted, those texts are on one chain from the last one that is
// not after the value, each the longest beginning of the one before.
type affixes struct {
	entries []affix
}

type affix struct {
	text   string
	parent int32 // the longest other entry that text begins with, or none
	to     *node
}

func (a *affixes) finish() {
	slices.SortFunc(a.entries, func(p, q affix) int { return cmp.Compare(p.text, q.text) })
	for i := range a.entries {
		p := int32(i) - 1
		for p != none && !strings.HasPrefix(a.entries[i].text, a.entries[p].text) {
			p = a.entries[p].parent
		}
		a.entries[i].parent = p
	}
}

// lookAffix visits the nodes of all entries that v begins with. v may change in the course.
func (m *matcher) lookAffix(x *scratch, a *affixes, v []byte) {
	low, high := 0, len(a.entries)
	for low < high {
		mid := int(uint(low+high) >> 1)
		if a.entries[mid].text <= string(v) {
			low = mid + 1
		} else {
			high = mid
		}
	}
	i := int32(low) - 1
	for i != none && (len(a.entries[i].text) > len(v) || string(v[:len(a.entries[i].text)]) != a.entries[i].text) {
		i = a.entries[i].parent
	}
	for ; i != none; i = a.entries[i].parent {
		m.visit(x, a.entries[i].to)
	}
}

// ranges finds which of many numeric ranges a number is in: a balanced tree over the ranges, sorted by their lower bound,
// that lies in its slice. The middle of a stretch is its root.
type ranges struct {
	entries []rangeEntry
}

type rangeEntry struct {
	span span
	most float64 // the highest upper bound of the stretch that this is the middle of
	to   *node
}

func (r *ranges) finish() {
	slices.SortFunc(r.entries, func(p, q rangeEntry) int {
		return cmp.Or(cmp.Compare(p.span.low, q.span.low), cmp.Compare(p.span.high, q.span.high))
	})
	r.summarise(0, len(r.entries))
}

// summarise sets most in entries[low:high], which is not empty unless all is.
func (r *ranges) summarise(low, high int) {
	if low >= high {
		return
	}
	mid := int(uint(low+high) >> 1)
	e := &r.entries[mid]
	e.most = e.span.high
	for _, side := range [2][2]int{{low, mid}, {mid + 1, high}} {
		if side[0] < side[1] {
			r.summarise(side[0], side[1])
			e.most = max(e.most, r.entries[int(uint(side[0]+side[1])>>1)].most)
		}
	}
}

// lookRange visits the nodes of all ranges of entries[low:high] that n is in.
func (m *matcher) lookRange(x *scratch, r *ranges, low, high int, n float64) {
	for low < high {
		mid := int(uint(low+high) >> 1)
		e := &r.entries[mid]
		if n > e.most {
			return
		}
		m.lookRange(x, r, low, mid, n)
		if n < e.span.low {
			return
		}
		if e.span.contains(n) {
			m.visit(x, e.to)
		}
		low = mid + 1
	}
}
