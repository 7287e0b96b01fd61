package disk

import (
	"encoding/binary"
	"errors"
	"hash/crc32"

	"github.com/cespare/xxhash/v2"
)

// blockRecords is how many offsets a block of a partition has; the first of a block is a multiple of it.
const blockRecords = 4096

// digest says which keys and types the records of a block have: nothing of one is missing in it, and of keys it may say too many.
type digest struct {
	keys  *keySet // nil = no record has a key
	types typeSet
}

// A filter after Bloom, with 10 bits for each record of a block and 7 probes: it knows one in a hundred keys that are not there. It is ours since what is
// stored must mean the same with any version of a library.
const (
	keyBits   = 10 * blockRecords
	keyProbes = 7
)

type keySet [keyBits / 8]byte

// keyHash is where a key's bits are. Whoever chooses keys so that they have the same ones makes a search read more, and no more than that.
type keyHash struct{ first, step uint32 }

func hashKey(key []byte) keyHash {
	h := xxhash.Sum64(key)
	return keyHash{uint32(h), uint32(h>>32) | 1}
}

func (h keyHash) bit(probe uint32) (at uint32, mask byte) {
	n := uint32(uint64(h.first+probe*h.step) * keyBits >> 32)
	return n / 8, 1 << (n % 8)
}

func (s *keySet) add(h keyHash) {
	for probe := range uint32(keyProbes) {
		at, mask := h.bit(probe)
		s[at] |= mask
	}
}

func (s *keySet) mayHave(h keyHash) bool {
	for probe := range uint32(keyProbes) {
		if at, mask := h.bit(probe); s[at]&mask == 0 {
			return false
		}
	}
	return true
}

// Bounds of the types that a block is known by: past them it may have any.
const (
	typesMost  = 64
	typesBytes = 2 << 10
)

type typeSet struct {
	known map[string]struct{}
	last  string // of them, which is mostly the next one, too
	bytes int
	any   bool // there are more than are known, or some that nobody knows of
}

func (s *typeSet) add(typ []byte, ok bool) {
	if s.any || ok && s.last != "" && string(typ) == s.last {
		return
	}
	if _, there := s.known[string(typ)]; there && ok {
		s.last = string(typ)
		return
	}
	if s.bytes += len(typ); !ok || len(s.known) == typesMost || s.bytes > typesBytes {
		s.known, s.any = nil, true
		return
	}
	if s.known == nil {
		s.known = map[string]struct{}{}
	}
	s.last = string(typ)
	s.known[s.last] = struct{}{}
}

// The stored forms: the version, what is below, and CRC-32C of the row's key and all that.
//
//	types  1 byte: 1 = these are all, 0 = any; then each, as uvarint length and bytes
//	keys   nothing, where no record has a key; else the filter's bits
const digestVersion = 1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func sealDigest(row, b []byte) []byte {
	return binary.BigEndian.AppendUint32(b, crc32.Update(crc32.Checksum(row, castagnoli), castagnoli, b))
}

var errBadDigest = errors.New("digest is damaged")

// openDigest is the inverse of sealDigest, and takes the version away.
func openDigest(row, b []byte) ([]byte, error) {
	n := len(b) - 4
	if n < 1 || b[0] != digestVersion || crc32.Update(crc32.Checksum(row, castagnoli), castagnoli, b[:n]) != binary.BigEndian.Uint32(b[n:]) {
		return nil, errBadDigest
	}
	return b[1:n], nil
}

func (s *typeSet) encode(row []byte) []byte {
	b := []byte{digestVersion, 1}
	if s.any {
		b[1] = 0
	}
	for typ := range s.known {
		b = binary.AppendUvarint(b, uint64(len(typ)))
		b = append(b, typ...)
	}
	return sealDigest(row, b)
}

// haveType says whether a block whose types are stored as b can have one that is wanted.
func haveType(row, b []byte, wanted func([]byte) bool) (bool, error) {
	b, err := openDigest(row, b)
	if err != nil || len(b) == 0 {
		return true, errBadDigest
	}
	all, b := b[0] == 1, b[1:]
	for len(b) > 0 {
		typ, rest, ok := takeBytes(b)
		if !ok {
			return true, errBadDigest
		}
		if wanted(typ) {
			return true, nil
		}
		b = rest
	}
	return !all, nil
}

func (s *keySet) encode(row []byte) []byte {
	b := []byte{digestVersion}
	if s != nil {
		b = append(make([]byte, 0, 1+len(s)+4), digestVersion)
		b = append(b, s[:]...)
	}
	return sealDigest(row, b)
}

// haveKey says whether a block whose keys are stored as b can have a key.
func haveKey(row, b []byte, h keyHash) (bool, error) {
	b, err := openDigest(row, b)
	switch {
	case err != nil:
		return true, err
	case len(b) == 0:
		return false, nil
	case len(b) != keyBits/8:
		return true, errBadDigest
	}
	return (*keySet)(b).mayHave(h), nil
}
