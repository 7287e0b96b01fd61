package match

// scratch is what one match works in. It comes from the matcher's pool and is good for that matcher only.
type scratch struct {
	data   []byte // what is being read
	buf    []byte // text that is no part of the data
	tmp    []byte // folded and reversed text
	leaves []leaf
	heads  []int32 // by path: its first leaf, or none
	deep   []bool  // by path: one of its leaves is in an array's element
	found  []int32 // the paths that have a leaf
	scopes []scope // the first is the object as a whole
	groups []group

	// The marks below hold the round in which they were set, so that a new round needs no clearing.
	round   uint32
	nodes   []uint32 // by node of the decision tree: visited
	tried   []uint32 // by conjunction: verified
	rules   []uint32 // by rule: matched
	matched []int32  // the rules that matched
	settled uint32   // the round of consistency checks; its marks are in scopes and groups
	touched []int32  // scopes of the check that runs
}

// The largest scratch that is kept for the next event; one that a huge event needed goes to the collector.
const (
	keepLeaves = 4096
	keepBytes  = 64 << 10
)

func (m *matcher) get() *scratch {
	if x, ok := m.pool.Get().(*scratch); ok {
		return x
	}
	x := &scratch{
		heads: make([]int32, m.paths), deep: make([]bool, m.paths), scopes: make([]scope, 1, 8),
		nodes: make([]uint32, m.nodes), tried: make([]uint32, len(m.conjunctions)), rules: make([]uint32, m.rules),
	}
	for i := range x.heads {
		x.heads[i] = none
	}
	x.scopes[0] = scope{parent: none, group: none, groups: none}
	return x
}

// put gives x back, without any pointer into the event.
func (m *matcher) put(x *scratch) {
	if cap(x.leaves) > keepLeaves || cap(x.buf) > keepBytes || cap(x.scopes) > keepLeaves {
		return
	}
	x.rewind(0)
	x.buf = x.buf[:0]
	m.pool.Put(x)
}

// add appends l to the leaves of its path.
func (x *scratch) add(l leaf) {
	l.next = x.heads[l.path]
	if l.next == none {
		x.found = append(x.found, l.path)
	}
	if l.scope != 0 {
		x.deep[l.path] = true
	}
	x.heads[l.path] = int32(len(x.leaves))
	x.leaves = append(x.leaves, l)
}

// rewind drops all leaves but the first n, which must be those of the whole object's scope, and all scopes.
func (x *scratch) rewind(n int) {
	for i := len(x.leaves) - 1; i >= n; i-- {
		l := &x.leaves[i]
		if x.heads[l.path] = l.next; l.next == none {
			x.deep[l.path] = false
			x.found = x.found[:len(x.found)-1]
		}
	}
	clear(x.leaves[n:])
	x.leaves = x.leaves[:n]
	x.scopes = x.scopes[:1]
	x.scopes[0] = scope{parent: none, group: none, groups: none}
	x.groups = x.groups[:0]
}

// begin starts a round of matching.
func (x *scratch) begin() {
	x.matched = x.matched[:0]
	if x.round++; x.round == 0 {
		clear(x.nodes)
		clear(x.tried)
		clear(x.rules)
		x.round = 1
	}
}
