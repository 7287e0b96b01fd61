package aws

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"strconv"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// latestName is AWS's name of what can be changed: here what `live` points at.
const latestName = "$LATEST"

// target is what a request is about.
type target struct {
	f         *catalog.Function
	v         *function.Version
	qualifier string // a number or an alias; "" = $LATEST
}

// notFound says it in AWS's words.
func (l *Lambda) notFound(name, qualifier string, why error) error {
	e := fault.New(fault.NotFound, "Function not found: %s", function.ARN(l.o.Region, name, qualifier))
	if hint := fault.HintOf(why); hint != "" {
		e = e.WithHint("%s", hint)
	}
	return &refusal{http.StatusNotFound, "ResourceNotFoundException", e}
}

func (l *Lambda) function(ctx context.Context, name, qualifier string) (*catalog.Function, error) {
	f, err := l.view(ctx).Function(name)
	if err != nil {
		return nil, l.notFound(name, qualifier, err)
	}
	return f, nil
}

// name is the function that a path names, and the qualifier of the name or of the query.
func (c *call) name() (name, qualifier string, err error) {
	name, qualifier = function.ParseARN(c.r.PathValue("name"))
	given := c.q.Get("Qualifier")
	if c.q.Has("Qualifier") && given == "" { // a script's empty variable would name the function itself, to be deleted, too
		return "", "", badValue("1 validation error detected: Value '' at 'qualifier' failed to satisfy constraint: Member must have length greater than or equal to 1")
	}
	if qualifier != "" && given != "" && given != qualifier {
		return "", "", badValue("The derived qualifier from the function name does not match the specified qualifier: %q and %q.", fault.Clip(qualifier), fault.Clip(given))
	}
	if qualifier == "" {
		qualifier = given
	}
	if qualifier == latestName {
		qualifier = ""
	}
	return name, qualifier, nil
}

// latest says whether the path or the query names $LATEST.
func (c *call) latest() bool {
	_, qualifier := function.ParseARN(c.r.PathValue("name"))
	return qualifier == latestName || c.q.Get("Qualifier") == latestName
}

// target finds what a request is about.
func (l *Lambda) target(c *call) (t target, err error) {
	name, qualifier, err := c.name()
	if err != nil {
		return t, err
	}
	return l.find(c.ctx(), name, qualifier)
}

func (l *Lambda) find(ctx context.Context, name, qualifier string) (t target, err error) {
	if t.f, err = l.function(ctx, name, qualifier); err != nil {
		return t, err
	}
	t.qualifier = qualifier
	if qualifier == "" {
		t.v = latest(t.f)
		return t, nil
	}
	number, isNumber := numberOf(qualifier)
	if !isNumber {
		alias, ok := t.f.Aliases[qualifier]
		if !ok {
			return t, l.notFound(name, qualifier, nil)
		}
		number = alias.Primary
	}
	if t.v = versionOf(t.f, number); t.v == nil {
		return t, l.notFound(name, qualifier, nil)
	}
	return t, nil
}

func numberOf(qualifier string) (int, bool) {
	n, err := strconv.Atoi(qualifier)
	return n, err == nil && n > 0
}

// latest is what $LATEST is: what live points at, or the newest version of a function that has no live yet.
func latest(f *catalog.Function) *function.Version {
	if v := f.Live(); v != nil {
		return v
	}
	return f.Versions[len(f.Versions)-1]
}

func versionOf(f *catalog.Function, number int) *function.Version {
	for _, v := range f.Versions {
		if v.Number == number {
			return v
		}
	}
	return nil
}

// revision is a revision id, which AWS gives the form of a UUID: the same as long as what it is made of.
func revision(of ...any) string {
	sum := sha256.Sum256(fmt.Append(nil, of...))
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// rolling is a function's roll-out to live that is under way; nil = there is none. Of those that are over the newest says how the last one went.
func rolling(f *catalog.Function) (underWay, last *catalog.Rollout) {
	for _, r := range f.Rollouts {
		if r.Alias != function.LiveAlias {
			continue
		}
		if r.Active() {
			underWay = r
		}
		last = r
	}
	return underWay, last
}
