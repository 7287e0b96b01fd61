package match

import "net/netip"

// op is what a test compares by.
type op uint8

const (
	opString op = iota
	opNumber
	opTrue
	opFalse
	opNull
	opFold // equals-ignore-case
	opPrefix
	opPrefixFold
	opSuffix
	opSuffixFold
	opWildcard
	opRange
	opCIDR
	opExists
	opAbsent
	opNot // anything-but
)

// test is one alternative of a field.
type test struct {
	op    op
	text  string // opString to opSuffixFold; folded where the op folds
	num   float64
	span  span
	net   netip.Prefix
	parts []string // opWildcard: the literal text between the stars
	not   []test   // opNot: none of these may hold
}

// span is a numeric range.
type span struct {
	low, high         float64
	openLow, openHigh bool // the bound itself is outside
}

func (s span) contains(n float64) bool {
	return (n > s.low || n == s.low && !s.openLow) && (n < s.high || n == s.high && !s.openHigh)
}

// kind is the JSON type of a leaf.
type kind uint8

const (
	kindString kind = iota
	kindNumber
	kindTrue
	kindFalse
	kindNull
)

// leaf is one scalar of the object at a path that some rule asks for.
type leaf struct {
	text  []byte // kindString: the value, unescaped
	num   float64
	path  int32
	scope int32 // the array element it is in; see scope
	next  int32 // the next leaf of the same path, or none
	kind  kind
}

// holds says whether l satisfies t. tmp is scratch space for folding. opAbsent is the business of the caller.
func (t *test) holds(l *leaf, tmp *[]byte) bool {
	switch t.op {
	case opNumber:
		return l.kind == kindNumber && l.num == t.num
	case opTrue:
		return l.kind == kindTrue
	case opFalse:
		return l.kind == kindFalse
	case opNull:
		return l.kind == kindNull
	case opRange:
		return l.kind == kindNumber && t.span.contains(l.num)
	case opExists:
		return true
	case opAbsent:
		return false
	case opNot:
		for i := range t.not {
			if t.not[i].holds(l, tmp) {
				return false
			}
		}
		return true
	}
	return l.kind == kindString && t.holdsText(l.text, tmp)
}

func (t *test) holdsText(v []byte, tmp *[]byte) bool {
	switch t.op {
	case opString:
		return string(v) == t.text
	case opPrefix:
		return len(v) >= len(t.text) && string(v[:len(t.text)]) == t.text
	case opSuffix:
		return len(v) >= len(t.text) && string(v[len(v)-len(t.text):]) == t.text
	case opWildcard:
		return matchWildcard(t.parts, v)
	case opCIDR:
		a, ok := parseAddr(v)
		return ok && t.net.Contains(a)
	}
	*tmp = appendFold((*tmp)[:0], v)
	v = *tmp
	switch t.op {
	case opFold:
		return string(v) == t.text
	case opPrefixFold:
		return len(v) >= len(t.text) && string(v[:len(t.text)]) == t.text
	case opSuffixFold:
		return len(v) >= len(t.text) && string(v[len(v)-len(t.text):]) == t.text
	}
	return false
}

// holds says whether one of f's alternatives is satisfied by l.
func (f *field) holds(l *leaf, tmp *[]byte) bool {
	for i := range f.tests {
		if f.tests[i].holds(l, tmp) {
			return true
		}
	}
	return false
}

// parseAddr reads an IP address; an IPv4-mapped IPv6 address is the IPv4 address. IPv4 is read here and other text is
// turned away before netip sees it, because netip wants a string and allocates its errors.
func parseAddr(v []byte) (netip.Addr, bool) {
	colons := 0
	for _, c := range v {
		switch {
		case c == ':':
			colons++
		case (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') && c != '.':
			return netip.Addr{}, false
		}
	}
	if colons < 2 {
		return parseAddr4(v)
	}
	if len(v) > len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255") {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(string(v))
	return a.Unmap(), err == nil
}

// parseAddr4 reads four decimal numbers without leading zeros.
func parseAddr4(v []byte) (netip.Addr, bool) {
	var b [4]byte
	i := 0
	for n := range b {
		if n > 0 {
			if i >= len(v) || v[i] != '.' {
				return netip.Addr{}, false
			}
			i++
		}
		start, part := i, 0
		for i < len(v) && i < start+3 && v[i]-'0' <= 9 {
			part = part*10 + int(v[i]-'0')
			i++
		}
		if i == start || part > 255 || i > start+1 && v[start] == '0' {
			return netip.Addr{}, false
		}
		b[n] = byte(part)
	}
	return netip.AddrFrom4(b), i == len(v)
}
