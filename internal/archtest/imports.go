package archtest

import (
	"fmt"
	"slices"
	"strings"
)

// house is the table with its edges, ready to be asked.
type house struct {
	rooms map[string][]string // room below internal/ (or cmd/...) -> rooms that it may import
	all   map[string]bool
}

func newHouse(rooms []Room, edges []Edge) *house {
	h := &house{rooms: map[string][]string{}, all: map[string]bool{}}
	for _, r := range rooms {
		h.all[short(r.Path)] = true
	}
	for _, r := range rooms {
		may := r.May
		if len(may) > 0 && may[0] == "*" {
			not := may[1:]
			may = nil
			for name := range h.all {
				if !slices.Contains(not, "-"+name) {
					may = append(may, name)
				}
			}
		}
		h.rooms[short(r.Path)] = slices.Clone(may)
	}
	for _, e := range edges {
		h.rooms[e.From] = append(h.rooms[e.From], e.To)
	}
	return h
}

func short(p string) string { return strings.TrimPrefix(p, "internal/") }

// room is the line of the table that a directory belongs to: the deepest one, or "".
func (h *house) room(dir string) string {
	for d := short(dir); ; {
		if h.all[d] {
			return d
		}
		i := strings.LastIndexByte(d, '/')
		if i < 0 {
			return ""
		}
		d = d[:i]
	}
}

func (h *house) may(from, to string) bool { return from == to || slices.Contains(h.rooms[from], to) }

// reach says whether from may import to directly or through other rooms.
func (h *house) reach(from, to string) bool {
	seen := map[string]bool{}
	var walk func(string) bool
	walk = func(r string) bool {
		if r == to {
			return true
		}
		if seen[r] {
			return false
		}
		seen[r] = true
		return slices.ContainsFunc(h.rooms[r], walk)
	}
	return walk(from)
}

// CheckImports returns one line for each import that the table does not allow.
func CheckImports(files []*File, rooms []Room, edges []Edge) []string {
	h := newHouse(rooms, edges)
	var bad []string
	for _, f := range files {
		from := h.room(f.Dir())
		if from == "" {
			bad = append(bad, fmt.Sprintf("%s: %s is no room of the table: add it to internal/archtest/table.go with what it may import", f.Path, f.Dir()))
			continue
		}
		for _, imp := range f.Imports() {
			if slices.ContainsFunc(testModules(), func(m string) bool { return imp == m || strings.HasPrefix(imp, m+"/") }) && !testCode(f) && from != "examples" {
				bad = append(bad, fmt.Sprintf("%s: imports %s, which is for tests", f.Path, imp))
			}
			dir, ours := strings.CutPrefix(imp, Module+"/")
			if !ours {
				continue
			}
			to := h.room(dir)
			switch {
			case to == "":
				bad = append(bad, fmt.Sprintf("%s: imports %s, which is no room of the table", f.Path, dir))
			case h.may(from, to):
			case testCode(f) && (h.reach(from, to) || slices.Contains(testRooms(), to)):
			default:
				bad = append(bad, fmt.Sprintf("%s: %s may not import %s: move the code, or add an edge with its reason to internal/archtest/table.go", f.Path, from, to))
			}
		}
	}
	return bad
}

// testCode says whether a file is compiled into tests alone: a _test.go file, or a suite in a package named for it.
func testCode(f *File) bool {
	return f.Test() || strings.HasSuffix(f.Dir(), "test") && f.Dir() != "internal/archtest"
}
