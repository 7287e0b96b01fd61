package match

import (
	"net/netip"
	"slices"
)

// edgeKind is the structure that an edge is found by. All alternatives of a field are edges, so following the edges that
// the leaves take never misses a conjunction; it may find some that verifying then turns down.
type edgeKind uint8

const (
	edgeString edgeKind = iota
	edgeNumber
	edgeTrue
	edgeFalse
	edgeNull
	edgeFold
	edgePrefix
	edgePrefixFold
	edgeSuffix
	edgeSuffixFold
	edgeGram // three bytes anywhere in a string
	edgeRange
	edgeCIDR
	edgePresent
	edgeNot     // anything-but plain values
	edgeNotTest // anything-but by another operator
	edgeAbsent
)

// often is a rough guess at how often events take an edge of this kind; only the order matters.
func (k edgeKind) often() int {
	switch k {
	case edgeString, edgeNumber, edgeNull, edgeFold:
		return 1
	case edgePrefix, edgePrefixFold, edgeSuffix, edgeSuffixFold, edgeCIDR:
		return 2
	case edgeTrue, edgeFalse, edgeGram:
		return 4
	case edgeRange:
		return 16
	case edgePresent, edgeNot, edgeNotTest:
		return 64
	}
	return 256
}

// edge is the key of an edge. It is comparable, so equal alternatives of many rules are one edge.
type edge struct {
	path int32
	kind edgeKind
	text string
	num  float64
	span span
	net  netip.Prefix
}

// edgeOf is the edge of one alternative of a field. A wildcard has several that would do; grower chooses.
func edgeOf(path int32, t *test) edge {
	e := edge{path: path, text: t.text}
	switch t.op {
	case opString:
		e.kind = edgeString
	case opNumber:
		e.kind, e.num = edgeNumber, t.num
	case opTrue:
		e.kind = edgeTrue
	case opFalse:
		e.kind = edgeFalse
	case opNull:
		e.kind = edgeNull
	case opFold:
		e.kind = edgeFold
	case opPrefix:
		e.kind = edgePrefix
	case opPrefixFold:
		e.kind = edgePrefixFold
	case opSuffix:
		e.kind, e.text = edgeSuffix, reversed(t.text)
	case opSuffixFold:
		e.kind, e.text = edgeSuffixFold, reversed(t.text)
	case opRange:
		e.kind, e.span = edgeRange, t.span
	case opCIDR:
		e.kind, e.net = edgeCIDR, t.net
	case opAbsent:
		e.kind = edgeAbsent
	case opNot:
		e.kind = edgeNot
		if !t.plain() {
			e.kind, e.text = edgeNotTest, exclusionKey(t)
		}
	default:
		e.kind = edgePresent
	}
	return e
}

func reversed(s string) string { return string(appendReversed(nil, []byte(s))) }

func appendReversed(dst, v []byte) []byte {
	for _, c := range slices.Backward(v) {
		dst = append(dst, c)
	}
	return dst
}

// table is the edges of one node for the values of one path.
type table struct {
	path      int32
	strings   map[string]*node
	folded    map[string]*node
	numbers   map[float64]*node
	literals  [kindNull + 1]*node // by kind
	affixes   [4]affixes          // prefix, prefix folded, suffix, suffix folded
	grams     map[[gramLen]byte]*node
	ranges    ranges
	nets      map[netip.Prefix]*node
	netBits   []netBits
	present   *node
	exclusion *exclusion // nil = no rule has anything-but here
}

// netBits is a length of prefix that occurs in nets.
type netBits struct {
	bits int
	v4   bool
}

// add adds an edge to t. by is one of the alternatives that the edge is of.
func (t *table) add(e edge, by *test, to *node) {
	switch e.kind {
	case edgeString:
		put(&t.strings, e.text, to)
	case edgeFold:
		put(&t.folded, e.text, to)
	case edgeNumber:
		put(&t.numbers, e.num, to)
	case edgeTrue:
		t.literals[kindTrue] = to
	case edgeFalse:
		t.literals[kindFalse] = to
	case edgeNull:
		t.literals[kindNull] = to
	case edgePrefix, edgePrefixFold, edgeSuffix, edgeSuffixFold:
		a := &t.affixes[e.kind-edgePrefix]
		a.entries = append(a.entries, affix{text: e.text, to: to})
	case edgeGram:
		put(&t.grams, [gramLen]byte([]byte(e.text)), to)
	case edgeRange:
		t.ranges.entries = append(t.ranges.entries, rangeEntry{span: e.span, to: to})
	case edgeCIDR:
		put(&t.nets, e.net, to)
		b := netBits{bits: e.net.Bits(), v4: e.net.Addr().Is4()}
		if !slices.Contains(t.netBits, b) {
			t.netBits = append(t.netBits, b)
		}
	case edgePresent:
		t.present = to
	case edgeNot:
		t.exclusions().all = to
	case edgeNotTest:
		ex := t.exclusions()
		ex.tests = append(ex.tests, exclusionTest{test: by, to: to})
	}
}

func (t *table) exclusions() *exclusion {
	if t.exclusion == nil {
		t.exclusion = &exclusion{}
	}
	return t.exclusion
}

func put[K comparable](m *map[K]*node, k K, to *node) {
	if *m == nil {
		*m = map[K]*node{}
	}
	(*m)[k] = to
}

func (t *table) finish() {
	for i := range t.affixes {
		t.affixes[i].finish()
	}
	t.ranges.finish()
}

// look follows the edges of t that the leaves of its path take.
func (m *matcher) look(x *scratch, t *table) {
	i := x.heads[t.path]
	if i == none {
		return
	}
	if t.present != nil {
		m.visit(x, t.present)
	}
	for ; i != none; i = x.leaves[i].next {
		l := &x.leaves[i]
		if t.exclusion != nil {
			m.lookExclusion(x, t.exclusion, l)
		}
		switch l.kind {
		case kindString:
			m.lookText(x, t, l.text)
		case kindNumber:
			if to := t.numbers[l.num]; to != nil {
				m.visit(x, to)
			}
			m.lookRange(x, &t.ranges, 0, len(t.ranges.entries), l.num)
		default:
			if to := t.literals[l.kind]; to != nil {
				m.visit(x, to)
			}
		}
	}
}

func (m *matcher) lookText(x *scratch, t *table, v []byte) {
	if to := t.strings[string(v)]; to != nil {
		m.visit(x, to)
	}
	m.lookAffix(x, &t.affixes[0], v)
	// x.tmp holds v in another form only up to the next visit, which may use it for its own.
	if len(t.affixes[2].entries) > 0 {
		x.tmp = appendReversed(x.tmp[:0], v)
		m.lookAffix(x, &t.affixes[2], x.tmp)
	}
	if t.folded != nil {
		x.tmp = appendFold(x.tmp[:0], v)
		if to := t.folded[string(x.tmp)]; to != nil {
			m.visit(x, to)
		}
	}
	if len(t.affixes[1].entries) > 0 {
		x.tmp = appendFold(x.tmp[:0], v)
		m.lookAffix(x, &t.affixes[1], x.tmp)
	}
	if len(t.affixes[3].entries) > 0 {
		x.tmp = appendFold(x.tmp[:0], v)
		slices.Reverse(x.tmp)
		m.lookAffix(x, &t.affixes[3], x.tmp)
	}
	if t.grams != nil {
		for i := range max(0, len(v)-gramLen+1) {
			if to := t.grams[[gramLen]byte(v[i:])]; to != nil {
				m.visit(x, to)
			}
		}
	}
	if t.nets != nil {
		m.lookNet(x, t, v)
	}
}

func (m *matcher) lookNet(x *scratch, t *table, v []byte) {
	a, ok := parseAddr(v)
	if !ok {
		return
	}
	for _, b := range t.netBits {
		if b.v4 != a.Is4() {
			continue
		}
		if p, err := a.Prefix(b.bits); err == nil {
			if to := t.nets[p]; to != nil {
				m.visit(x, to)
			}
		}
	}
}
