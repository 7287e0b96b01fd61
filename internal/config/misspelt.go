package config

import (
	"regexp"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
)

// VariablePrefix begins the names of all variables that dalamb reads.
const VariablePrefix = "DALAMB_"

// otherVariables are those of the prefix that are no settings: of the commands that ask a node, and of what a function is given.
func otherVariables() []string {
	return []string{
		"DALAMB_CONTROL", "DALAMB_TOKEN", "DALAMB_CA", "DALAMB_ENV",
		"DALAMB_FUNCTION", "DALAMB_VERSION", "DALAMB_REQUEST_ID", "DALAMB_RUN", "DALAMB_ATTEMPT", "DALAMB_DEADLINE_MS", "DALAMB_SHADOW",
	}
}

// serviceVariable is in those that Kubernetes gives every container beside a service that is called dalamb, or dalamb-something: Kubernetes, "Discovering
// services", environment variables.
var serviceVariable = regexp.MustCompile(`_SERVICE_(HOST|PORT)|_PORT_[0-9]+_(TCP|UDP|SCTP)`)

func fromKubernetes(name, value string) bool {
	return serviceVariable.MatchString(name) || strings.HasSuffix(name, "_PORT") && strings.Contains(value, "://")
}

// Variables are the names of all that somebody reads: a node, a command, or a function.
func Variables() []string {
	known := otherVariables()
	for _, one := range Settings() {
		known = append(known, one.Variable())
	}
	return known
}

// misspelt tells of variables that look like a setting's and that nobody reads. They are no mistakes, since other programs may use the prefix.
func misspelt(s Source) (all Problems) {
	known := Variables()
	for _, name := range s.Names {
		if !strings.HasPrefix(name, VariablePrefix) || slices.Contains(known, name) || s.Environment == nil || s.Environment(name) == "" || fromKubernetes(name, s.Environment(name)) {
			continue
		}
		p := Problem{Where: name, What: "is the variable of no setting, and nobody reads it", Hint: "docs/reference/configuration.md has the settings; a variable of another program may stay"}
		if near := meant(name, known); len(near) > 0 {
			p.Hint = "did you mean " + strings.Join(near, " or ") + "?"
		}
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b Problem) int { return strings.Compare(a.Where, b.Where) })
	return all
}

// meant are the variables that a name is near to as a whole, or else those with a part that one of its parts is near to: LISEN is near to no whole name.
func meant(name string, known []string) []string {
	name = strings.TrimPrefix(name, VariablePrefix)
	parts := map[string][]string{}
	var bare, names []string
	for _, k := range known {
		k = strings.TrimPrefix(k, VariablePrefix) // which all have, and which makes all near to each other
		bare = append(bare, k)
		for part := range strings.SplitSeq(k, "_") {
			parts[part] = append(parts[part], k)
			names = append(names, part)
		}
	}
	near := fault.Nearest(name, bare)
	if len(near) == 0 {
		for part := range strings.SplitSeq(name, "_") {
			for _, one := range fault.Nearest(part, names) {
				if len(parts[one]) <= mostMeant { // a part of many names tells little
					near = append(near, parts[one]...)
				}
			}
		}
		slices.Sort(near)
		near = slices.Compact(near)
	}
	var out []string
	for _, n := range near[:min(len(near), mostMeant)] {
		out = append(out, VariablePrefix+n)
	}
	return out
}

// mostMeant is how many variables are proposed at most: more is a list to read, not a hint.
const mostMeant = 3
