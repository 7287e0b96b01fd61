package match

// gramLen is how much of the inner text of a wildcard is looked up.
const gramLen = 3

// wildcardEdges calls yield with every edge that finds the values which a wildcard matches: by their beginning, by their end, by
// any piece of the text between the stars.
func wildcardEdges(path int32, parts []string, yield func(edge)) {
	first, last := parts[0], parts[len(parts)-1]
	if len(parts) == 1 {
		yield(edge{path: path, kind: edgeString, text: first})
		return
	}
	if first != "" {
		yield(edge{path: path, kind: edgePrefix, text: first})
	}
	if last != "" {
		yield(edge{path: path, kind: edgeSuffix, text: reversed(last)})
	}
	for _, p := range parts {
		for i := 0; i+gramLen <= len(p); i++ {
			yield(edge{path: path, kind: edgeGram, text: p[i : i+gramLen]})
		}
	}
}

// chooseWildcards gives each wildcard the edge that the fewest others could have; one with no text to look up goes by presence.
func (g *grower) chooseWildcards() {
	counts := map[edge]int{}
	g.eachWildcard(func(path int32, t *test) {
		wildcardEdges(path, t.parts, func(e edge) { counts[e]++ })
	})
	g.wildcards = map[*test]edge{}
	g.eachWildcard(func(path int32, t *test) {
		best, least := edge{path: path, kind: edgePresent}, 0
		wildcardEdges(path, t.parts, func(e edge) {
			if weight := counts[e] * e.kind.often(); least == 0 || weight < least {
				best, least = e, weight
			}
		})
		g.wildcards[t] = best
	})
}

func (g *grower) eachWildcard(do func(path int32, t *test)) {
	for _, c := range g.conjunctions {
		for _, f := range c.fields {
			for i := range f.tests {
				if f.tests[i].op == opWildcard {
					do(f.path, &f.tests[i])
				}
			}
		}
	}
}

func (g *grower) edgeOf(path int32, t *test) edge {
	if t.op == opWildcard {
		return g.wildcards[t]
	}
	return edgeOf(path, t)
}
