package match

import "unicode/utf8"

// maxNesting is encoding/json's, so that one text is valid everywhere or nowhere.
const maxNesting = 10000

// readObject collects the leaves of object that rules ask for; false = it is not one JSON object.
func (x *scratch) readObject(m *matcher, object []byte) bool {
	i := skipSpace(object, 0)
	if i == len(object) || object[i] != '{' {
		return false
	}
	return x.readDocument(object, m.trie)
}

// readDocument reads data as one JSON value that stands at n; false = it is not valid.
func (x *scratch) readDocument(data []byte, n *trieNode) bool {
	x.data = data
	i := x.value(skipSpace(data, 0), n, 0, 0)
	x.data = nil
	return i >= 0 && skipSpace(data, i) == len(data)
}

func skipSpace(data []byte, i int) int {
	for i < len(data) && (data[i] == ' ' || data[i] == '\n' || data[i] == '\t' || data[i] == '\r') {
		i++
	}
	return i
}

// value reads the value at i, which belongs to n in the given scope, and returns its end, or -1 when it is not valid.
// With n nil it only checks.
func (x *scratch) value(i int, n *trieNode, scope int32, depth int) int {
	data := x.data
	if i >= len(data) {
		return -1
	}
	wanted := n != nil && n.path != none
	switch data[i] {
	case '{':
		return x.object(i+1, n, scope, depth+1)
	case '[':
		return x.array(i+1, n, scope, depth+1)
	case '"':
		end, saw := scanString(data, i+1)
		if end < 0 {
			return -1
		}
		if wanted {
			x.add(leaf{path: n.path, scope: scope, kind: kindString, text: x.text(data[i+1:end], saw)})
		}
		return end + 1
	case 't':
		return x.literal(i, "true", kindTrue, n, scope)
	case 'f':
		return x.literal(i, "false", kindFalse, n, scope)
	case 'n':
		return x.literal(i, "null", kindNull, n, scope)
	}
	end := scanNumber(data, i)
	if end >= 0 && wanted {
		x.add(leaf{path: n.path, scope: scope, kind: kindNumber, num: number(data[i:end])})
	}
	return end
}

func (x *scratch) literal(i int, word string, k kind, n *trieNode, scope int32) int {
	end := i + len(word)
	if end > len(x.data) || string(x.data[i:end]) != word {
		return -1
	}
	if n != nil && n.path != none {
		x.add(leaf{path: n.path, scope: scope, kind: k})
	}
	return end
}

// text returns the content of a scanned string: a part of the data where that is possible.
func (x *scratch) text(s []byte, saw int) []byte {
	if saw == 0 || saw == sawHigh && utf8.Valid(s) {
		return s
	}
	start := len(x.buf)
	x.buf = appendText(x.buf, s)
	return x.buf[start:len(x.buf):len(x.buf)]
}

func (x *scratch) object(i int, n *trieNode, scope int32, depth int) int {
	if depth > maxNesting {
		return -1
	}
	data := x.data
	i = skipSpace(data, i)
	if i < len(data) && data[i] == '}' {
		return i + 1
	}
	for {
		if i >= len(data) || data[i] != '"' {
			return -1
		}
		end, saw := scanString(data, i+1)
		if end < 0 {
			return -1
		}
		var kid *trieNode
		if n != nil && len(n.kids) > 0 {
			kid = n.descend(x.text(data[i+1:end], saw))
		}
		if i = skipSpace(data, end+1); i >= len(data) || data[i] != ':' {
			return -1
		}
		if i = x.value(skipSpace(data, i+1), kid, scope, depth); i < 0 {
			return -1
		}
		if i = skipSpace(data, i); i >= len(data) {
			return -1
		}
		switch data[i] {
		case '}':
			return i + 1
		case ',':
			i = skipSpace(data, i+1)
		default:
			return -1
		}
	}
}

// array reads the elements of an array, which all belong to n. Each that is an object or an array is a scope of its own;
// scalars are not, so they go together with anything.
func (x *scratch) array(i int, n *trieNode, scope int32, depth int) int {
	if depth > maxNesting {
		return -1
	}
	data := x.data
	i = skipSpace(data, i)
	if i < len(data) && data[i] == ']' {
		return i + 1
	}
	group := none
	for {
		in := scope
		if n != nil && i < len(data) && (data[i] == '{' || data[i] == '[') {
			if group == none {
				group = x.group(scope, n)
			}
			in = x.element(scope, group)
		}
		if i = x.value(i, n, in, depth); i < 0 {
			return -1
		}
		if i = skipSpace(data, i); i >= len(data) {
			return -1
		}
		switch data[i] {
		case ']':
			return i + 1
		case ',':
			i = skipSpace(data, i+1)
		default:
			return -1
		}
	}
}
