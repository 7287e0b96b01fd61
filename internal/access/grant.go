package access

import (
	"slices"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
)

// Grant is what somebody was given.
type Grant struct {
	Role      Role      `json:"role"`
	Functions []string  `json:"functions,omitempty"` // globs, see Covers; nil = all
	Expires   time.Time `json:"expires,omitzero"`    // zero = never
	// Environment is what alone is seen and changed; "" = all of the installation.
	Environment string `json:"environment,omitempty"`
}

// Bounds of what a grant names.
const (
	maxGlobs = 64
	maxGlob  = 128 // bytes; an environment, a dot and a function have 127
)

// Check says what is wrong with a grant that is asked for at a time.
func (g Grant) Check(now time.Time) error {
	if !slices.Contains(Roles(), g.Role) {
		var names []string
		for _, r := range Roles() {
			names = append(names, string(r))
		}
		return fault.New(fault.Invalid, "role: %q is none", fault.Clip(string(g.Role))).WithHint("there are %s; docs/access.md says what each may", strings.Join(names, ", "))
	}
	switch {
	case g.Functions != nil && len(g.Functions) == 0: // who meant a bound would give all
		return fault.New(fault.Invalid, "functions: the list names none, and %s is for some or for all", g.Role.one()).WithHint("name functions, such as shop-*; or leave functions out, for all")
	case len(g.Functions) > 0 && !g.Role.bounded():
		return fault.New(fault.Invalid, "functions: what %s may is not bounded by functions", g.Role.one()).WithHint("leave functions out, or give the role deployer or operator")
	case len(g.Functions) > maxGlobs:
		return fault.New(fault.Invalid, "functions: %d are more than %d", len(g.Functions), maxGlobs).WithHint("name several by one pattern, such as shop-*")
	case !g.Expires.IsZero() && !g.Expires.After(now):
		return fault.New(fault.Invalid, "expires: %s is over already", g.Expires.UTC().Format(time.RFC3339))
	}
	for _, glob := range g.Functions {
		if g.Environment != "" && !strings.HasPrefix(glob, g.Environment+".") {
			return fault.New(fault.Invalid, "functions: %q names none of environment %s", fault.Clip(glob), g.Environment).WithHint("name functions of it, such as %s.shop-*", g.Environment)
		}
		if !validGlob(glob) {
			return fault.New(fault.Invalid, "functions: %q names no functions", fault.Clip(glob)).
				WithHint("a function's name, with * for any part of it: shop-*, or staging.* for those of an environment")
		}
	}
	return nil
}

// validGlob says whether a name of a function could fit a glob.
func validGlob(glob string) bool {
	if glob == "" || len(glob) > maxGlob || strings.Trim(glob, "abcdefghijklmnopqrstuvwxyz0123456789-.*") != "" {
		return false
	}
	parts := strings.Split(glob, ".")
	return len(parts) <= 2 && !slices.Contains(parts, "")
}

// Expired says whether a grant is over.
func (g Grant) Expired(now time.Time) bool { return !g.Expires.IsZero() && !now.Before(g.Expires) }

// Whole says whether a grant is for all functions, those of every environment among them.
func (g Grant) Whole() bool { return len(g.Functions) == 0 && g.Environment == "" }

// Sees says whether what has a full name is there for who has the grant: he is told of nothing else.
func (g Grant) Sees(name string) bool {
	return g.Environment == "" || strings.HasPrefix(name, g.Environment+".")
}

// Bound says in words what a grant is for; "" = all.
func (g Grant) Bound() string {
	switch {
	case len(g.Functions) > 0:
		return "the functions " + strings.Join(g.Functions, ", ")
	case g.Environment != "":
		return "environment " + g.Environment
	}
	return ""
}

// Covers says whether a grant is for what has a full name: [ENVIRONMENT.]NAME. A star stands for any characters but the dot, so that no glob of
// production's functions fits those of an environment.
func (g Grant) Covers(name string) bool {
	if !g.Sees(name) {
		return false
	}
	return len(g.Functions) == 0 || slices.ContainsFunc(g.Functions, func(glob string) bool { return fits(glob, name) })
}

// fits takes time that grows with the product of both lengths at most, whatever they are: after a star only the newest one is tried again.
func fits(glob, name string) bool {
	g, n := 0, 0
	star, from := -1, 0
	for n < len(name) {
		switch {
		case g < len(glob) && glob[g] == '*':
			star, from = g, n
			g++
		case g < len(glob) && glob[g] == name[n]:
			g++
			n++
		case star >= 0 && name[from] != '.':
			from++
			g, n = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(glob[g:], "*") == ""
}
