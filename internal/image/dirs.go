package image

import (
	"io/fs"
	"iter"
	"path"
	"strings"
)

// dirs are the modes of a layer's directories, by their paths. It is a tree, so that what is below a path is forgotten at the cost of
// that alone: a hostile layer replaces entries without end.
type dirs struct {
	mode  fs.FileMode
	known bool // mode is
	below map[string]*dirs
}

// set remembers the mode of a directory.
func (d *dirs) set(name string, mode fs.FileMode) {
	for part := range parts(name) {
		next := d.below[part]
		if next == nil {
			if d.below == nil {
				d.below = map[string]*dirs{}
			}
			next = &dirs{}
			d.below[part] = next
		}
		d = next
	}
	d.mode, d.known = mode, true
}

// forget takes away a path and all below it.
func (d *dirs) forget(name string) {
	above, last := path.Split(name)
	for part := range parts(path.Clean(above)) {
		if d = d.below[part]; d == nil {
			return
		}
	}
	delete(d.below, last)
}

// deepestFirst lists the directories, each after what is below it. One may be forgotten when it comes.
func (d *dirs) deepestFirst() iter.Seq2[string, fs.FileMode] {
	return func(yield func(string, fs.FileMode) bool) { d.list(".", yield) }
}

func (d *dirs) list(name string, yield func(string, fs.FileMode) bool) bool {
	for part, below := range d.below {
		if !below.list(path.Join(name, part), yield) {
			return false
		}
	}
	return !d.known || yield(name, d.mode)
}

// parts are the names in a clean path; "." has none.
func parts(name string) iter.Seq[string] {
	if name == "." {
		return func(func(string) bool) {}
	}
	return strings.SplitSeq(name, "/")
}
