package match

import (
	"slices"
	"strings"
)

// exclusion is the edges of one path for anything-but. Most values take all of them, so what is looked up is the value that
// many rules exclude: for it there is a node with the others only. A value that less than half of the rules exclude has none:
// visiting all of them then costs at most twice what those do that do match.
type exclusion struct {
	all    *node            // the rules that exclude plain values
	except map[scalar]*node // by excluded value: the rules that do not exclude it; nil = there is none
	tests  []exclusionTest  // the rules that exclude by another operator, together where they do it alike
}

type exclusionTest struct {
	test *test
	to   *node
}

// scalar is a string or a number as a key.
type scalar struct {
	kind kind
	text string
	num  float64
}

// plain says whether t, an anything-but, excludes only values that are equal.
func (t *test) plain() bool { return t.not[0].op == opString || t.not[0].op == opNumber }

// excludedValue is the value of one test within a plain anything-but.
func excludedValue(t *test) scalar {
	if t.op == opNumber {
		return scalar{kind: kindNumber, num: t.num}
	}
	return scalar{kind: kindString, text: t.text}
}

// exclusionKey makes alternatives that exclude alike equal.
func exclusionKey(t *test) string {
	var b strings.Builder
	for i := range t.not {
		n := &t.not[i]
		b.WriteByte(byte(n.op) + '0')
		for _, s := range slices.Concat(n.parts, []string{n.text}) {
			b.WriteString(s)
			b.WriteByte(0xff) // in no UTF-8 text
		}
	}
	return b.String()
}

// except builds the nodes for the values that at least half of items exclude at path.
func (g *grower) except(path int32, items []item) map[scalar]*node {
	counts := map[scalar]int{}
	for _, it := range items {
		for v := range g.excluded(path, it) {
			counts[v]++
		}
	}
	var out map[scalar]*node
	for v, n := range counts {
		if n*2 < len(items) {
			continue
		}
		rest := slices.DeleteFunc(slices.Clone(items), func(it item) bool { return g.excluded(path, it)[v] })
		if out == nil {
			out = map[scalar]*node{}
		}
		out[v] = nil
		if g.budget -= len(rest); len(rest) > 0 {
			out[v] = g.node(rest)
		}
	}
	return out
}

// excluded returns the values at path that all plain anything-but alternatives of a conjunction exclude.
func (g *grower) excluded(path int32, it item) map[scalar]bool {
	var out map[scalar]bool
	for _, f := range g.conjunctions[it.conjunction].fields {
		for i := range f.tests {
			t := &f.tests[i]
			if f.path != path || t.op != opNot || !t.plain() {
				continue
			}
			one := map[scalar]bool{}
			for j := range t.not {
				if v := excludedValue(&t.not[j]); out == nil || out[v] {
					one[v] = true
				}
			}
			out = one
		}
	}
	return out
}

// lookExclusion visits the nodes of the rules that do not exclude l.
func (m *matcher) lookExclusion(x *scratch, e *exclusion, l *leaf) {
	for i := range e.tests {
		if e.tests[i].test.holds(l, &x.tmp) {
			m.visit(x, e.tests[i].to)
		}
	}
	if e.all == nil {
		return
	}
	to, found := e.except[scalar{kind: l.kind, text: string(l.text), num: l.num}]
	switch {
	case !found:
		m.visit(x, e.all)
	case to != nil:
		m.visit(x, to)
	}
}
