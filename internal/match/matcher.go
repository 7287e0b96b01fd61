package match

import (
	"slices"
	"sync"
)

// matcher is the index over patterns; a Set and a Pattern are shells around one.
type matcher struct {
	trie         *trieNode
	attributes   attributes
	root         *node
	conjunctions []compiled
	paths        int // the sizes of what a scratch holds
	nodes        int
	rules        int
	pool         sync.Pool // of *scratch
}

// compiled is a conjunction of one rule with its paths as ids.
type compiled struct {
	rule   int32
	fields []compiledField
}

type compiledField struct {
	*field
	path int32
}

func newMatcher(patterns []*Pattern) *matcher {
	m := &matcher{rules: len(patterns)}
	b := newTrieBuilder()
	for i, p := range patterns {
		if p == nil {
			continue
		}
		for _, c := range p.any {
			one := compiled{rule: int32(i), fields: make([]compiledField, len(c))}
			for j, f := range c {
				one.fields[j] = compiledField{field: f, path: b.id(f.path)}
			}
			m.conjunctions = append(m.conjunctions, one)
		}
	}
	b.root.number(0)
	m.trie, m.attributes, m.paths = b.root, newAttributes(b.root), len(b.ids)
	m.root, m.nodes = grow(m.conjunctions)
	return m
}

// match returns the rules that the leaves in x satisfy, in order. The slice is x's.
func (m *matcher) match(x *scratch) []int32 {
	x.begin()
	m.visit(x, m.root)
	slices.Sort(x.matched)
	return x.matched
}

// try verifies conjunction i, which the decision tree says may match.
func (m *matcher) try(x *scratch, i int32) {
	c := &m.conjunctions[i]
	if x.tried[i] == x.round || x.rules[c.rule] == x.round {
		return
	}
	x.tried[i] = x.round
	if x.satisfies(c) {
		x.rules[c.rule] = x.round
		x.matched = append(x.matched, c.rule)
	}
}

func (x *scratch) satisfies(c *compiled) bool {
	deep := false
	for i := range c.fields {
		f := &c.fields[i]
		if !x.satisfied(f) && !(f.absent && (x.heads[f.path] == none || x.deep[f.path])) {
			return false
		}
		deep = deep || x.deep[f.path]
	}
	return !deep || x.consistent(c)
}

// satisfied says whether one of the leaves of f's path satisfies it, whatever element it is in.
func (x *scratch) satisfied(f *compiledField) bool {
	for l := x.heads[f.path]; l != none; l = x.leaves[l].next {
		if f.holds(&x.leaves[l], &x.tmp) {
			return true
		}
	}
	return false
}
