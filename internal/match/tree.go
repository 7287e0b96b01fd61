package match

import (
	"cmp"
	"encoding/binary"
	"hash/maphash"
	"iter"
	"slices"
)

// node is a node of the decision tree: conjunctions that can match when the path to it was taken.
type node struct {
	id     int32
	here   []int32       // conjunctions to verify
	absent []absentEdge  // taken where a path has no leaf
	tables []*table      // edges by the values of a path
	byPath map[int32]int // into tables, where there are many
}

type absentEdge struct {
	path int32
	to   *node
}

// Below this number verifying conjunctions one by one is quicker than another step.
const fewConjunctions = 3

// visit follows all edges from n that the leaves in x take, and verifies what is at their ends.
func (m *matcher) visit(x *scratch, n *node) {
	if x.nodes[n.id] == x.round {
		return
	}
	x.nodes[n.id] = x.round
	for _, c := range n.here {
		m.try(x, c)
	}
	for i := range n.absent {
		// A leaf in an array's element need not go together with the rest: verifying decides.
		if p := n.absent[i].path; x.heads[p] == none || x.deep[p] {
			m.visit(x, n.absent[i].to)
		}
	}
	if len(n.tables) <= len(x.found) || n.byPath == nil {
		for _, t := range n.tables {
			m.look(x, t)
		}
		return
	}
	for _, p := range x.found {
		if i, ok := n.byPath[p]; ok {
			m.look(x, n.tables[i])
		}
	}
}

// grower builds a decision tree.
type grower struct {
	conjunctions []compiled
	nodes        int32
	seed         maphash.Seed
	shared       map[uint64][]grown // nodes by the conjunctions in them, so that equal ones are built once
	wildcards    map[*test]edge     // the edge that was chosen for each
	budget       int                // how many more entries the tree may have; a tree that is cut off here is slower, not wrong
}

// item is a conjunction with the fields that were decided on the way to it.
type item struct {
	conjunction int32
	decided     uint64
}

type grown struct {
	items []item
	to    *node
}

// The entries that a tree may have for each alternative of its rules, and the least that any tree may have.
const (
	entriesPerTest = 2
	entriesAtLeast = 1 << 12
)

func grow(all []compiled) (root *node, nodes int) {
	g := &grower{conjunctions: all, seed: maphash.MakeSeed(), shared: map[uint64][]grown{}, budget: entriesAtLeast}
	items := make([]item, len(all))
	for i := range all {
		items[i].conjunction = int32(i)
		for _, f := range all[i].fields {
			g.budget += entriesPerTest * len(f.tests)
		}
	}
	g.chooseWildcards()
	root = g.node(items)
	return root, int(g.nodes)
}

func (g *grower) node(items []item) *node {
	key := g.hash(items)
	for _, s := range g.shared[key] {
		if slices.Equal(s.items, items) {
			return s.to
		}
	}
	n := &node{id: g.nodes}
	g.nodes++
	g.shared[key] = append(g.shared[key], grown{items: items, to: n})
	g.split(n, items)
	return n
}

func (g *grower) hash(items []item) uint64 {
	var h maphash.Hash
	h.SetSeed(g.seed)
	var b [12]byte
	for _, it := range items {
		binary.LittleEndian.PutUint32(b[:], uint32(it.conjunction))
		binary.LittleEndian.PutUint64(b[4:], it.decided)
		h.Write(b[:])
	}
	return h.Sum64()
}

// split lets each conjunction go by the field of it that tells it from the most others.
func (g *grower) split(n *node, items []item) {
	if len(items) <= fewConjunctions || g.budget <= 0 {
		n.here = conjunctionsOf(items)
		return
	}
	counts := map[edge]int{}
	for _, it := range items {
		for e := range g.edges(it) {
			counts[e]++
		}
	}
	next := map[edge][]item{}
	by := map[edge]*test{}
	var order []edge // so that equal rules give equal trees
	for _, it := range items {
		f := g.choose(it, counts)
		if f < 0 {
			n.here = append(n.here, it.conjunction)
			continue
		}
		field := &g.conjunctions[it.conjunction].fields[f]
		it.decided |= 1 << f
		for i := range field.tests {
			e := g.edgeOf(field.path, &field.tests[i])
			if to := next[e]; len(to) > 0 && to[len(to)-1] == it {
				continue
			} else if len(to) == 0 {
				order = append(order, e)
				by[e] = &field.tests[i]
			}
			next[e] = append(next[e], it)
			g.budget--
		}
	}
	b := tableBuilder{node: n, byPath: map[int32]*table{}}
	for _, e := range order {
		t := b.add(e, by[e], g.node(next[e]))
		if e.kind == edgeNot {
			t.exclusion.except = g.except(e.path, next[e])
		}
	}
	b.finish()
}

// edges yields the edges of all undecided fields of a conjunction.
func (g *grower) edges(it item) iter.Seq[edge] {
	return func(yield func(edge) bool) {
		fields := g.conjunctions[it.conjunction].fields
		for f := range fields {
			if it.decided&(1<<f) != 0 {
				continue
			}
			for i := range fields[f].tests {
				if !yield(g.edgeOf(fields[f].path, &fields[f].tests[i])) {
					return
				}
			}
		}
	}
}

// choose returns the undecided field with the least weight, or -1. The weight of an edge is how many conjunctions
// share it times how often events take edges of its kind.
func (g *grower) choose(it item, counts map[edge]int) int {
	best, least := -1, 0
	fields := g.conjunctions[it.conjunction].fields
	for f := range fields {
		if it.decided&(1<<f) != 0 {
			continue
		}
		weight := 0
		for i := range fields[f].tests {
			e := g.edgeOf(fields[f].path, &fields[f].tests[i])
			weight += counts[e] * e.kind.often()
		}
		if best < 0 || weight < least {
			best, least = f, weight
		}
	}
	return best
}

func conjunctionsOf(items []item) []int32 {
	out := make([]int32, len(items))
	for i, it := range items {
		out[i] = it.conjunction
	}
	return out
}

// tableBuilder collects the edges of one node.
type tableBuilder struct {
	node   *node
	byPath map[int32]*table
}

// add adds an edge and returns the table that it is in; nil for one that has none.
func (b *tableBuilder) add(e edge, by *test, to *node) *table {
	if e.kind == edgeAbsent {
		b.node.absent = append(b.node.absent, absentEdge{path: e.path, to: to})
		return nil
	}
	t := b.byPath[e.path]
	if t == nil {
		t = &table{path: e.path}
		b.byPath[e.path] = t
		b.node.tables = append(b.node.tables, t)
	}
	t.add(e, by, to)
	return t
}

func (b *tableBuilder) finish() {
	slices.SortFunc(b.node.tables, func(s, t *table) int { return cmp.Compare(s.path, t.path) })
	if len(b.node.tables) > manyKids {
		b.node.byPath = make(map[int32]int, len(b.node.tables))
	}
	for i, t := range b.node.tables {
		t.finish()
		if b.node.byPath != nil {
			b.node.byPath[t.path] = i
		}
	}
}
