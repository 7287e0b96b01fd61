package match

import (
	"fmt"
	"strconv"
	"strings"
)

// maxShown is how many values of a field an explanation shows.
const maxShown = 5

// Explain matches object as MatchJSON does and says, when it does not match, which field failed first and why. Of
// the conjunctions of an "$or" it speaks of the one that came furthest. Where each field matches by itself, but only from
// different elements of an array, path is what the fields in arrays have in common.
func (p *Pattern) Explain(object []byte) (path, reason string, matched bool, err error) {
	m := p.matcher()
	x := m.get()
	defer m.put(x)
	if !x.readObject(m, object) {
		return "", "", false, ErrNotObject
	}
	furthest := -1
	for i := range m.conjunctions {
		c := &m.conjunctions[i]
		if x.satisfies(c) {
			return "", "", true, nil
		}
		n, why := x.explain(c)
		if n <= furthest {
			continue
		}
		furthest, path, reason = n, x.common(c), why
		if n < len(c.fields) {
			path = c.fields[n].field.path
		}
	}
	return path, reason, false, nil
}

// explain returns how many fields of c are satisfied before the first that is not, and what is wrong with that one.
func (x *scratch) explain(c *compiled) (int, string) {
	for i := range c.fields {
		f := &c.fields[i]
		switch {
		case x.satisfied(f) || f.absent && (x.heads[f.path] == none || x.deep[f.path]):
		case x.heads[f.path] == none:
			return i, fmt.Sprintf("is not there; wanted %s", f.source)
		default:
			return i, fmt.Sprintf("is %s; wanted %s", x.shown(f.path), f.source)
		}
	}
	return len(c.fields), "each field matches, but only from different elements of an array"
}

// common is the longest path that the fields of c with a leaf in an array's element have in common; where there is none, the
// path of the first such field.
func (x *scratch) common(c *compiled) string {
	var first, shared []string
	for i := range c.fields {
		if !x.deep[c.fields[i].path] {
			continue
		}
		segments := strings.Split(c.fields[i].field.path, ".")
		if first == nil {
			first, shared = segments, segments
			continue
		}
		n := 0
		for n < min(len(shared), len(segments)) && shared[n] == segments[n] {
			n++
		}
		shared = shared[:n]
	}
	if len(shared) == 0 {
		shared = first
	}
	return strings.Join(shared, ".")
}

// shown lists the leaves of a path as JSON, in the order of the object.
func (x *scratch) shown(path int32) string {
	var all []string
	for i := x.heads[path]; i != none; i = x.leaves[i].next {
		all = append(all, x.leaves[i].String())
	}
	var b strings.Builder
	for n := range all {
		if n == maxShown {
			fmt.Fprintf(&b, " and %d more", len(all)-n)
			break
		}
		if n > 0 {
			b.WriteString(", ")
		}
		b.WriteString(all[len(all)-1-n])
	}
	return b.String()
}

// String is the leaf as JSON.
func (l *leaf) String() string {
	switch l.kind {
	case kindString:
		var b strings.Builder
		writeScalar(&b, string(l.text))
		return b.String()
	case kindNumber:
		return strconv.FormatFloat(l.num, 'g', -1, 64)
	case kindTrue:
		return "true"
	case kindFalse:
		return "false"
	}
	return "null"
}
