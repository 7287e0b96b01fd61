package audit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"
)

// A kept leaf: the offset of its record u64, its hash, and the CRC-32C of both u32, big-endian. The check tells a flipped byte here from one in the
// log, also when retention has taken the record.
const entrySize = 8 + tlog.HashSize + 4

// entry is a leaf that is kept.
type entry struct {
	offset int64
	hash   tlog.Hash
}

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

func appendEntry(b []byte, e *entry) []byte {
	start := len(b)
	b = binary.BigEndian.AppendUint64(b, uint64(e.offset))
	b = append(b, e.hash[:]...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli()))
}

// parseEntry reads a kept leaf; ok is false where it is not as it was written.
func parseEntry(b []byte) (e entry, ok bool) {
	end := entrySize - 4
	e.offset = int64(binary.BigEndian.Uint64(b))
	copy(e.hash[:], b[8:end])
	return e, e.offset >= 0 && crc32.Checksum(b[:end], castagnoli()) == binary.BigEndian.Uint32(b[end:])
}

// files are those of one tree: its leaves, and the hashes of its complete tiles, one after another.
type files struct{ leaves, tiles string }

func treeFiles(dir, topicID string, partition int32) files {
	base := filepath.Join(dir, treesDir, hexName(topicID), strconv.Itoa(int(partition)))
	return files{leaves: base + ".leaves", tiles: base + ".tiles"}
}

// hexName makes a name for a directory of what an engine calls a topic, whatever bytes are in that.
func hexName(id string) string { return fmt.Sprintf("%x", id) }

// kept says how many whole leaves and tiles are in the files.
func (f files) kept() (leaves, tiles int64, err error) {
	if leaves, err = fileSize(f.leaves); err != nil {
		return 0, 0, err
	}
	tiles, err = fileSize(f.tiles)
	return leaves / entrySize, tiles / tlog.HashSize, err
}

func fileSize(path string) (int64, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// entries calls f for the leaves [from, to). ok is false for one that is damaged; f says when it has enough.
func (f files) entries(from, to int64, each func(i int64, e entry, ok bool) error) error {
	const atATime = 4096
	file, err := os.Open(f.leaves)
	if err != nil {
		return fmt.Errorf("read leaves: %w", err)
	}
	defer file.Close()
	buf := make([]byte, min(to-from, atATime)*entrySize)
	for from < to {
		part := buf[:min(to-from, atATime)*entrySize]
		if _, err := file.ReadAt(part, from*entrySize); err != nil {
			return fmt.Errorf("read leaves %d to %d of %s: %w", from, to, f.leaves, err)
		}
		for ; len(part) > 0; part = part[entrySize:] {
			e, ok := parseEntry(part)
			if err := each(from, e, ok); err != nil {
				return err
			}
			from++
		}
	}
	return nil
}

// tile reads the hashes of the tiles [from, to).
func (f files) tileHashes(from, to int64) ([]tlog.Hash, error) {
	hs := make([]tlog.Hash, to-from)
	file, err := os.Open(f.tiles)
	if err != nil {
		return nil, fmt.Errorf("read tiles: %w", err)
	}
	defer file.Close()
	buf := make([]byte, (to-from)*tlog.HashSize)
	if _, err := file.ReadAt(buf, from*tlog.HashSize); err != nil {
		return nil, fmt.Errorf("read tiles %d to %d of %s: %w", from, to, f.tiles, err)
	}
	for i := range hs {
		copy(hs[i][:], buf[i*tlog.HashSize:])
	}
	return hs, nil
}

// ReadHashes is tlog.HashReader's: a subtree below a tile is made of leaves, one above of tiles.
func (f files) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		level, n := tlog.SplitStoredHashIndex(index)
		var hs []tlog.Hash
		var err error
		if level < tileHeight {
			hs, err = f.leafHashes(n<<level, (n+1)<<level)
		} else {
			up := level - tileHeight
			hs, err = f.tileHashes(n<<up, (n+1)<<up)
		}
		if err != nil {
			return nil, err
		}
		out[i] = combined(hs)
	}
	return out, nil
}

func (f files) leafHashes(from, to int64) ([]tlog.Hash, error) {
	hs := make([]tlog.Hash, 0, to-from)
	err := f.entries(from, to, func(i int64, e entry, ok bool) error {
		if !ok {
			return fmt.Errorf("leaf %d of %s is damaged", i, f.leaves)
		}
		hs = append(hs, e.hash)
		return nil
	})
	return hs, err
}

// find is the leaf of an offset, among the first n.
func (f files) find(n, offset int64) (i int64, e entry, err error) {
	file, err := os.Open(f.leaves)
	if err != nil {
		return 0, e, fmt.Errorf("read leaves: %w", err)
	}
	defer file.Close()
	at := func(i int64) (entry, error) {
		var b [entrySize]byte
		if _, err := file.ReadAt(b[:], i*entrySize); err != nil && !errors.Is(err, io.EOF) {
			return entry{}, fmt.Errorf("read leaf %d of %s: %w", i, f.leaves, err)
		}
		e, ok := parseEntry(b[:])
		if !ok {
			return e, fmt.Errorf("leaf %d of %s is damaged", i, f.leaves)
		}
		return e, nil
	}
	lo, hi := int64(0), n
	for lo < hi {
		mid := lo + (hi-lo)/2
		if e, err = at(mid); err != nil {
			return 0, e, err
		}
		switch {
		case e.offset == offset:
			return mid, e, nil
		case e.offset < offset:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return 0, e, errNoLeaf
}

// errNoLeaf: the tree has no record at that offset.
var errNoLeaf = errors.New("there is no leaf")
