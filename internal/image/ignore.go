package image

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
)

// IgnoreFile at the top of a code directory names what is not part of the code. It is read as Git reads .gitignore, with
// this subset: one pattern a line; empty lines and lines that begin with # say nothing; spaces at the end of a line are
// dropped.
//
//   - * and ? match within one name, [a-z] a class, \ takes the next character as it is
//   - ** as a whole name matches any number of names, none included
//   - a pattern with a slash at its start or in its middle is anchored at the top; any other matches at every depth
//   - a slash at its end restricts it to directories
//   - ! at its start takes back what an earlier line left out; the last line that matches decides
//   - what lies below a directory that is left out cannot be taken back
//
// Every .git and the IgnoreFile itself are always left out.
const IgnoreFile = ".dalambignore"

type ignoreRule struct {
	names   []string // the pattern, one element for each name of the path
	dirOnly bool
	keep    bool // a line that begins with !
}

type ignoreList []ignoreRule

// parseIgnore reads the content of an IgnoreFile. An error names its line.
func parseIgnore(content []byte) (ignoreList, error) {
	var list ignoreList
	for i, line := range bytes.Split(content, []byte("\n")) {
		s := strings.TrimRight(string(line), " \t\r")
		if s == "" || s[0] == '#' {
			continue
		}
		var r ignoreRule
		s, r.keep = strings.CutPrefix(s, "!")
		s, r.dirOnly = strings.CutSuffix(s, "/")
		anchored := strings.Contains(s, "/")
		s = strings.TrimPrefix(s, "/")
		r.names = strings.Split(s, "/")
		if !anchored {
			r.names = append([]string{"**"}, r.names...)
		}
		for _, n := range r.names {
			if _, err := path.Match(n, "x"); err != nil || n == "" || n == "." || n == ".." {
				return nil, fault.New(fault.Invalid, "%s:%d: %q is not a pattern", IgnoreFile, i+1, line).
					WithHint("names separated by single slashes, with *, ?, [a-z] and **; no . or ..")
			}
		}
		list = append(list, r)
	}
	return list, nil
}

// ignores says whether the file or directory at a slash-separated path is left out. Its parents are not.
func (l ignoreList) ignores(name string, dir bool) bool {
	if path.Base(name) == ".git" || name == IgnoreFile {
		return true
	}
	names := strings.Split(name, "/")
	for i := len(l) - 1; i >= 0; i-- {
		if r := l[i]; (dir || !r.dirOnly) && matchNames(r.names, names) {
			return !r.keep
		}
	}
	return false
}

// matchNames matches a pattern's names against a path's. It keeps one place to go back to, that of the last **, so its cost is
// bounded by the product of both lengths.
func matchNames(pattern, names []string) bool {
	p, n := 0, 0
	star, from := -1, 0
	for n < len(names) {
		switch {
		case p < len(pattern) && pattern[p] == "**":
			star, from = p, n
			p++
			continue
		case p < len(pattern):
			if ok, _ := path.Match(pattern[p], names[n]); ok {
				p, n = p+1, n+1
				continue
			}
		}
		if star < 0 {
			return false
		}
		from++
		p, n = star+1, from
	}
	// A ** at the end wants something below the directory before it.
	for p < len(pattern) && pattern[p] == "**" && p != len(pattern)-1 {
		p++
	}
	return p == len(pattern)
}

// Ignored reads the IgnoreFile of a directory, and returns what says whether a path below it, with slashes, is no part of the code.
// Without one, and with one that is no good, only what is always left out is not.
func Ignored(dir string) (func(path string, dir bool) bool, error) {
	content, err := os.ReadFile(filepath.Join(dir, IgnoreFile))
	if errors.Is(err, fs.ErrNotExist) {
		return ignoreList(nil).ignores, nil
	}
	if err != nil {
		return ignoreList(nil).ignores, unreadable(IgnoreFile, err)
	}
	list, err := parseIgnore(content)
	return list.ignores, err
}
