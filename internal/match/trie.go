package match

import (
	"bytes"
	"strings"
)

// trieNode is one field of the objects that are read: a segment of the paths that rules name.
type trieNode struct {
	path  int32 // the id of the path that ends here, or none
	first int32 // this node and all below it are numbered first to last
	last  int32
	names []string
	kids  []*trieNode
	many  map[string]*trieNode // instead of names and kids, where there are many
}

// none is the absence of an id or an index.
const none int32 = -1

// manyKids is where a map beats comparing names one by one.
const manyKids = 8

func (n *trieNode) child(name []byte) *trieNode {
	if n.many != nil {
		return n.many[string(name)]
	}
	for i, s := range n.names {
		if string(name) == s {
			return n.kids[i]
		}
	}
	return nil
}

// descend finds the node of a key, in which dots are the same as nesting.
func (n *trieNode) descend(key []byte) *trieNode {
	for n != nil {
		dot := bytes.IndexByte(key, '.')
		if dot < 0 {
			return n.child(key)
		}
		n, key = n.child(key[:dot]), key[dot+1:]
	}
	return nil
}

// related says whether one of n and o is the other or above it.
func (n *trieNode) related(o *trieNode) bool {
	return n.first <= o.first && o.last <= n.last || o.first <= n.first && n.last <= o.last
}

// trieBuilder gives ids to paths.
type trieBuilder struct {
	root *trieNode
	ids  map[string]int32
}

func newTrieBuilder() *trieBuilder {
	return &trieBuilder{root: &trieNode{path: none}, ids: map[string]int32{}}
}

func (b *trieBuilder) id(path string) int32 {
	if id, ok := b.ids[path]; ok {
		return id
	}
	n := b.root
	for _, s := range strings.Split(path, ".") {
		k := n.child([]byte(s))
		if k == nil {
			k = &trieNode{path: none}
			n.add(s, k)
		}
		n = k
	}
	id := int32(len(b.ids))
	n.path, b.ids[path] = id, id
	return id
}

func (n *trieNode) add(name string, k *trieNode) {
	n.kids = append(n.kids, k)
	n.names = append(n.names, name)
	switch {
	case n.many != nil:
		n.many[name] = k
	case len(n.kids) > manyKids:
		n.many = make(map[string]*trieNode, 2*manyKids)
		for i, s := range n.names {
			n.many[s] = n.kids[i]
		}
	}
}

// number sets first and last below n, from next on.
func (n *trieNode) number(next int32) int32 {
	n.first = next
	next++
	for _, k := range n.kids {
		next = k.number(next)
	}
	n.last = next - 1
	return next
}
