package match

import "slices"

// scope is the object as a whole, or one element of an array that is an object or an array. Scopes form a tree. A
// leaf goes together with another when the paths to their scopes never take two elements of one group.
type scope struct {
	parent int32 // none for the object as a whole
	group  int32 // the group of the parent that this is an element of
	groups int32 // the first group in this scope, or none

	settled uint32 // the check that the rest belongs to
	sibling int32  // the next touched element of the same group
	leaves  uint64 // fields with a leaf directly here
	hits    uint64 // fields that one of those satisfies
	below   uint64 // fields with a leaf here or below
	under   uint64 // fields that one of those satisfies
}

// group is the elements of one array. Arrays of one scope whose paths lie on one line, which takes repeated or dotted keys,
// are one group: so each field finds its leaves in at most one group of a scope, and a check needs no search.
type group struct {
	node  *trieNode
	next  int32 // the next group of the scope
	alias int32 // the group that this one was joined to; itself when to none

	settled uint32 // the check that the rest belongs to
	first   int32  // the first touched element
	below   uint64 // as in scope, over all elements
	under   uint64
}

// group returns the group of an array at n.
func (x *scratch) group(in int32, n *trieNode) int32 {
	found := none
	for g := x.scopes[in].groups; g != none; g = x.groups[g].next {
		switch {
		case x.groups[g].node == n:
			return x.whole(g)
		case !x.groups[g].node.related(n):
		case found == none:
			found = x.whole(g)
		default:
			x.groups[x.whole(g)].alias = found
		}
	}
	g := int32(len(x.groups))
	if found == none {
		found = g
	}
	x.groups = append(x.groups, group{node: n, next: x.scopes[in].groups, alias: found})
	x.scopes[in].groups = g
	return found
}

// whole returns the group that g was joined to.
func (x *scratch) whole(g int32) int32 {
	for x.groups[g].alias != g {
		g = x.groups[g].alias
	}
	return g
}

func (x *scratch) element(in, group int32) int32 {
	x.scopes = append(x.scopes, scope{parent: in, group: group, groups: none})
	return int32(len(x.scopes) - 1)
}

// consistent says whether c can be satisfied by leaves that all go together, where {"exists": false} holds for a
// field when it has no leaf that goes together with those.
func (x *scratch) consistent(c *compiled) bool {
	if x.settled++; x.settled == 0 {
		for i := range x.scopes {
			x.scopes[i].settled = 0
		}
		for i := range x.groups {
			x.groups[i].settled = 0
		}
		x.settled = 1
	}
	x.touched = x.touched[:0]
	x.touch(0)
	var absent uint64
	for i := range c.fields {
		f, bit := &c.fields[i], uint64(1)<<i
		if f.absent {
			absent |= bit
		}
		hit := false
		for l := x.heads[f.path]; l != none; l = x.leaves[l].next {
			s := x.touch(x.leaves[l].scope)
			s.leaves |= bit
			if s.hits&bit == 0 && f.holds(&x.leaves[l], &x.tmp) {
				s.hits |= bit
				hit = true
			}
		}
		if !hit && !f.absent {
			return false
		}
	}
	x.sum()
	all := ^uint64(0) >> (64 - len(c.fields))
	return x.settle(0, all, absent) != unsettled
}

// touch makes scope i, and those it is in, part of the check.
func (x *scratch) touch(i int32) *scope {
	for s := i; s != none && x.scopes[s].settled != x.settled; s = x.scopes[s].parent {
		t := &x.scopes[s]
		t.settled, t.sibling = x.settled, none
		t.leaves, t.hits, t.below, t.under = 0, 0, 0, 0
		x.touched = append(x.touched, s)
	}
	return &x.scopes[i]
}

// sum adds up what is below each scope and links the elements of each group.
func (x *scratch) sum() {
	slices.Sort(x.touched) // a scope is numbered after the one it is in
	for _, i := range slices.Backward(x.touched) {
		s := &x.scopes[i]
		s.below |= s.leaves
		s.under |= s.hits
		if s.parent == none {
			continue
		}
		p := &x.scopes[s.parent]
		p.below |= s.below
		p.under |= s.under
		g := &x.groups[x.whole(s.group)]
		if g.settled != x.settled {
			g.settled, g.first, g.below, g.under = x.settled, none, 0, 0
		}
		g.below |= s.below
		g.under |= s.under
		s.sibling, g.first = g.first, i
	}
}

// What settle finds.
const (
	unsettled = iota
	settledEmpty
	settledHere // and one of the leaves that satisfy the conjunction can be taken from here
)

// settle says whether the fields of need can all be satisfied within scope i, given that its element is the one chosen.
// Those of absent may also be satisfied by having no leaf.
//
// An element counts as chosen only when a leaf is taken from it; otherwise the leaves of all elements of its array
// go together with the choice, and an absent field must be absent from all of them. A field that need no longer has was
// satisfied further up; its leaf may as well be taken from here.
func (x *scratch) settle(i int32, need, absent uint64) int {
	s := &x.scopes[i]
	taken := s.hits != 0
	need &^= s.hits
	absent &^= s.leaves // a leaf here goes together with all that is below
	for j := s.groups; j != none; j = x.groups[j].next {
		g := &x.groups[j]
		if g.alias != j || g.settled != x.settled {
			continue
		}
		inside := need & g.below
		if inside == 0 {
			taken = taken || g.under != 0
			continue
		}
		e := g.first
		for e != none && x.settle(e, inside, absent) != settledHere {
			e = x.scopes[e].sibling
		}
		if e == none {
			return unsettled
		}
		taken = true
		need &^= inside
	}
	switch {
	case need&^absent != 0:
		return unsettled
	case taken:
		return settledHere
	}
	return settledEmpty
}
