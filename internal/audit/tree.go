package audit

import (
	"crypto/sha256"
	"fmt"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

func sum(b []byte) tlog.Hash { return sha256.Sum256(b) }

// A tile is the hash of tileWidth leaves that begin at a multiple of that.
const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
)

// frontier is a tree that grows: the hashes of the complete subtrees that its leaves make, the largest first. The zero value has no leaves.
type frontier struct {
	n      int64
	hashes []tlog.Hash
}

// add takes one more leaf. When that completes a tile, tile is its hash and full is true.
func (f *frontier) add(leaf tlog.Hash) (tile tlog.Hash, full bool) {
	h := leaf
	level := 0
	for m := f.n; m&1 == 1; m >>= 1 {
		last := len(f.hashes) - 1
		h = tlog.NodeHash(f.hashes[last], h)
		f.hashes = f.hashes[:last]
		if level++; level == tileHeight {
			tile, full = h, true
		}
	}
	f.hashes = append(f.hashes, h)
	f.n++
	return tile, full
}

// root is the hash of the whole tree, which has at least one leaf. // RFC 6962, section 2.1
func (f *frontier) root() tlog.Hash {
	last := len(f.hashes) - 1
	h := f.hashes[last]
	for i := last - 1; i >= 0; i-- {
		h = tlog.NodeHash(f.hashes[i], h)
	}
	return h
}

// frontierAt is the tree of the first n leaves that r has the hashes of.
func frontierAt(n int64, r tlog.HashReader) (frontier, error) {
	f := frontier{n: n}
	var indexes []int64
	for pos := int64(0); pos < n; {
		level := bits.Len64(uint64(n-pos)) - 1
		indexes = append(indexes, tlog.StoredHashIndex(level, pos>>level))
		pos += 1 << level
	}
	var err error
	if f.hashes, err = r.ReadHashes(indexes); err != nil {
		return f, fmt.Errorf("read the hashes of a tree of %d leaves: %w", n, err)
	}
	return f, nil
}

// combined is the hash of a complete subtree, of the hashes that it is made of, whose number is a power of two. It writes over them.
func combined(hs []tlog.Hash) tlog.Hash {
	for len(hs) > 1 {
		for i := 0; i < len(hs)/2; i++ {
			hs[i] = tlog.NodeHash(hs[2*i], hs[2*i+1])
		}
		hs = hs[:len(hs)/2]
	}
	return hs[0]
}
