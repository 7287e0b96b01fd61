package function

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Deliver says what becomes of a push. It is no part of a version: who delivers reads it from the commit that was pushed.
type Deliver struct {
	// Branches are the aliases that branches are delivered to, ENV.ALIAS in an environment. A branch may have one *, for any text, and then its alias may have one, for
	// the same text in the letters of an alias. A name without * comes first, then the longest.
	Branches map[string]string
}

// everyText stands for any text in a branch, and for what it was in the alias.
const everyText = "*"

// Target is where a branch is delivered to.
type Target struct {
	Env   string // environment; "" = production
	Alias string // "" = nowhere: the branch is kept only
	Own   bool   // the alias has its name from the branch, and goes with it
}

// Target is where a branch is delivered to. Without any Deliver main and master are live.
func (d *Deliver) Target(branch string) Target {
	to, own := d.alias(branch)
	t := Target{Env: Environment(to), Own: own}
	t.Alias = Plain(t.Env, to)
	return t
}

// alias is what Branches say of a branch.
func (d *Deliver) alias(branch string) (alias string, own bool) {
	branches := map[string]string{"main": LiveAlias, "master": LiveAlias}
	if d != nil {
		branches = d.Branches
	}
	if alias, ok := branches[branch]; ok {
		return alias, false
	}
	for _, pattern := range longestFirst(branches) {
		before, after, any := strings.Cut(pattern, everyText)
		if any && len(branch) > len(before)+len(after) && strings.HasPrefix(branch, before) && strings.HasSuffix(branch, after) {
			alias = branches[pattern]
			return strings.Replace(alias, everyText, aliasPart(branch[len(before):len(branch)-len(after)]), 1), strings.Contains(alias, everyText)
		}
	}
	return "", false
}

func longestFirst(branches map[string]string) []string {
	return slices.SortedFunc(maps.Keys(branches), func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
}

// maxAliasPart keeps an alias a label of a host name, whatever the branch is called.
const maxAliasPart = 40

// aliasPart writes a text in letters that an alias may have. What is lost by that a few letters of a hash make good, so that two
// branches do not get one alias.
func aliasPart(text string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(text) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			b.WriteRune(r)
		case !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
		if b.Len() >= maxAliasPart {
			break
		}
	}
	part := strings.Trim(b.String(), "-")
	if part == text {
		return part
	}
	sum := sha256.Sum256([]byte(text))
	return strings.TrimPrefix(part+"-"+hex.EncodeToString(sum[:3]), "-")
}

func deliverValue() value[Deliver] {
	return object[Deliver]([]string{"branches"},
		field("branches", "BRANCH: ALIAS, or BRANCH: ENV.ALIAS to deliver into an environment. A branch may have one *, for any text; its alias then one for the same, such as \"feature/*\": \"preview/*\". Branches that are not named are kept and not delivered.",
			mapOf(text[string]()), func(d *Deliver) *map[string]string { return &d.Branches }),
	)
}

// maxBranches bounds the branches that a manifest names.
const maxBranches = 100

// deliver checks what was read of the field; before is how many problems there were without it.
func (p *parser) deliver(d *Deliver, before int) {
	const at = "deliver.branches"
	if d == nil || p.reported(before, "deliver") {
		return
	}
	if len(d.Branches) == 0 || len(d.Branches) > maxBranches {
		p.reportAt(at, fmt.Sprintf("names %d branches", len(d.Branches)), fmt.Sprintf("from 1 to %d; without deliver main and master are delivered to live", maxBranches))
	}
	for _, branch := range slices.Sorted(maps.Keys(d.Branches)) {
		field, env := at+"."+branch, Environment(d.Branches[branch])
		alias := Plain(env, d.Branches[branch])
		stars := strings.Count(branch, everyText)
		switch {
		case branch == "" || stars > 1 || strings.ContainsAny(branch, " \t\n~^:?[\\") || strings.HasPrefix(branch, "refs/"):
			p.reportAt(field, fmt.Sprintf("%q is neither a branch nor a pattern for branches", clip(branch)), "such as main, or feature/* with one *")
		case strings.HasPrefix(d.Branches[branch], ".") || env != "" && CheckEnvironment(env) != nil:
			p.reportAt(field, fmt.Sprintf("%q is no environment", clip(env)), "such as staging.live: the alias live in the environment staging")
		case strings.Count(alias, everyText) > stars:
			p.reportAt(field, fmt.Sprintf("the alias %q has a * for which the branch has none", clip(alias)), "such as \"feature/*\": \"preview/*\"")
		case CheckAlias(strings.Replace(alias, everyText, "x", 1)) != nil || len(alias) > MaxAlias-maxAliasPart-10:
			p.reportAt(field, fmt.Sprintf("%q is no alias", clip(alias)), "such as live, staging or preview/*; small letters, digits and inner dashes, a letter first")
		case stars == 1 && alias == LiveAlias:
			p.reportAt(field, "many branches cannot all be live", "name the one branch that is live; others can have an alias with a *")
		}
	}
}
