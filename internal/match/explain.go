package match

import (
	"fmt"
	"strconv"
	"strings"
)

// maxShown is how many values of a field an explanation shows.
const maxShown = 5

// Explain matches object as MatchJSON does and says, when it does not match, which field failed first and why. Of
// the conjunctions of an "$or" it speaks of the one that came furthest. A path of "" means that each field matches by
// itself, but only from different elements of an array.
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
		furthest, path, reason = n, "", why
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
