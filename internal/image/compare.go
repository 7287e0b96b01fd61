package image

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// Difference is a file, link or directory that two code directories do not have alike. What one does not have is nil there.
type Difference struct {
	Path          string
	Before, After *Side
}

// Side is what one of both has.
type Side struct {
	Bytes int64
	Mode  string // as ls writes it: -rw-r--r--, drwxr-xr-x, Lrwxrwxrwx
	Link  string // target of a link
}

// Compare lists where two code directories differ, by path. A directory is only listed where its mode differs, or where it is empty on
// the one side and not there on the other.
func Compare(before, after string) ([]Difference, error) {
	b, err := openTree(before)
	if err != nil {
		return nil, fmt.Errorf("compare code: %w", err)
	}
	defer b.root.Close()
	a, err := openTree(after)
	if err != nil {
		return nil, fmt.Errorf("compare code: %w", err)
	}
	defer a.root.Close()
	var out []Difference
	bs, as := b.tree.entries, a.tree.entries
	for len(bs) > 0 || len(as) > 0 {
		switch {
		case len(as) == 0 || len(bs) > 0 && bs[0].path < as[0].path:
			if !parent(bs) {
				out = append(out, Difference{Path: bs[0].path, Before: bs[0].side()})
			}
			bs = bs[1:]
		case len(bs) == 0 || as[0].path < bs[0].path:
			if !parent(as) {
				out = append(out, Difference{Path: as[0].path, After: as[0].side()})
			}
			as = as[1:]
		default:
			same, err := sameEntry(b.root, a.root, bs[0], as[0])
			if err != nil {
				return nil, fmt.Errorf("compare %s: %w", bs[0].path, err)
			}
			if !same {
				out = append(out, Difference{Path: bs[0].path, Before: bs[0].side(), After: as[0].side()})
			}
			bs, as = bs[1:], as[1:]
		}
	}
	return out, nil
}

type openedTree struct {
	root *os.Root
	tree *tree
}

func openTree(dir string) (openedTree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return openedTree{}, err
	}
	t, err := readTree(root, nil)
	if err != nil {
		return openedTree{}, errors.Join(err, root.Close())
	}
	return openedTree{root, t}, nil
}

// parent says that the first entry is a directory with something in it, which is listed in its place.
func parent(es []entry) bool {
	return es[0].mode.IsDir() && len(es) > 1 && slices.ContainsFunc(es[1:], func(e entry) bool { return strings.HasPrefix(e.path, es[0].path+"/") })
}

func (e entry) side() *Side { return &Side{Bytes: e.size, Mode: e.mode.String(), Link: e.link} }

func sameEntry(before, after *os.Root, b, a entry) (bool, error) {
	if b.mode != a.mode || b.size != a.size || b.link != a.link || !b.mode.IsRegular() {
		return b.mode == a.mode && b.size == a.size && b.link == a.link, nil
	}
	bf, err := before.Open(b.path)
	if err != nil {
		return false, err
	}
	defer bf.Close()
	af, err := after.Open(a.path)
	if err != nil {
		return false, err
	}
	defer af.Close()
	return sameBytes(bf, af)
}

func sameBytes(a, b io.Reader) (bool, error) {
	one, two := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, errA := io.ReadFull(a, one)
		m, errB := io.ReadFull(b, two)
		if !bytes.Equal(one[:n], two[:m]) {
			return false, nil
		}
		endA := errors.Is(errA, io.EOF) || errors.Is(errA, io.ErrUnexpectedEOF)
		endB := errors.Is(errB, io.EOF) || errors.Is(errB, io.ErrUnexpectedEOF)
		switch {
		case endA && endB:
			return true, nil
		case errA != nil && !endA:
			return false, errA
		case errB != nil && !endB:
			return false, errB
		}
	}
}
