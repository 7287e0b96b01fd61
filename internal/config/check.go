package config

import (
	"fmt"
	"slices"
)

// Finding is what Check has found.
type Finding struct {
	Node     *Node    // as far as it could be read
	Mistakes Problems // with any of them no node starts
	Warnings Problems // a node starts, and lacks what they tell of, or does what may not be meant
	from     map[string]string
}

// Check reads a configuration as Load does, and then looks at the files that it names, as the user who asks, and for variables of the environment that are
// misspelt. Nothing is made or changed. An error says why the file of the configuration cannot be read; all else is in the finding.
func Check(s Source) (*Finding, error) {
	l, err := read(s)
	if err != nil {
		return nil, err
	}
	f := &Finding{Node: l.node, Mistakes: l.problems, from: l.from}
	for _, n := range l.node.names(s.Environment) {
		if !l.unread[n.key] {
			f.look(n)
		}
	}
	f.Warnings = append(f.Warnings, misspelt(s)...)
	return f, nil
}

// Err is what keeps a node from starting: an error of kind Invalid that wraps the mistakes, or nil.
func (f *Finding) Err() error {
	if len(f.Mistakes) == 0 {
		return nil
	}
	return f.Mistakes.fault()
}

// Sound says whether no mistake was found in any of some settings.
func (f *Finding) Sound(keys ...string) bool {
	return !slices.ContainsFunc(f.Mistakes, func(p Problem) bool { return slices.Contains(keys, p.Key) })
}

// Wrong adds a mistake of a setting that somebody else has found.
func (f *Finding) Wrong(key, hint, format string, args ...any) {
	f.Mistakes = append(f.Mistakes, f.problem(key, hint, format, args...))
}

func (f *Finding) warn(key, hint, format string, args ...any) {
	f.Warnings = append(f.Warnings, f.problem(key, hint, format, args...))
}

func (f *Finding) problem(key, hint, format string, args ...any) Problem {
	where := f.from[key]
	if where == "" {
		where = "default"
	}
	return Problem{Where: where, Key: key, What: fmt.Sprintf(format, args...), Hint: hint}
}

// Holds says whether the values of a configuration that was put together fit each other. The error is of kind Invalid.
func Holds(n *Node) error {
	l := &loader{node: n, settings: Settings(), from: map[string]string{}}
	l.check()
	if len(l.problems) > 0 {
		return l.problems.fault()
	}
	return nil
}
