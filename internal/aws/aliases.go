package aws

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/dalamb/dalamb/internal/api"
	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// aliasRequest is AWS's CreateAlias and UpdateAlias. What is absent of an update stays as it is.
type aliasRequest struct {
	Name            string
	FunctionVersion *string
	Description     *string
	RoutingConfig   *routing
	RevisionID      string `json:"RevisionId"`
}

// routing are the shares of versions beside the alias's own, each from 0 to 1.
type routing struct{ AdditionalVersionWeights map[string]float64 }

// aliasAnswer is AWS's AliasConfiguration.
type aliasAnswer struct {
	AliasArn        string
	Name            string
	FunctionVersion string
	Description     string
	RoutingConfig   *routing `json:",omitempty"`
	RevisionID      string   `json:"RevisionId"`
}

func (l *Lambda) aliasOf(f *catalog.Function, a function.Alias) aliasAnswer {
	out := aliasAnswer{
		AliasArn: function.ARN(l.o.Region, f.Name, a.Name), Name: a.Name, FunctionVersion: strconv.Itoa(a.Primary), Description: noteOf(f).Aliases[a.Name],
	}
	for n, parts := range a.Weights {
		if n == a.Primary {
			continue // the rest is its
		}
		if out.RoutingConfig == nil {
			out.RoutingConfig = &routing{map[string]float64{}}
		}
		out.RoutingConfig.AdditionalVersionWeights[strconv.Itoa(n)] = float64(parts) / 100
	}
	out.RevisionID = revision("alias\x00", f.Name, "\x00", f.Created, "\x00", a.Name, "\x00", a.Primary, a.Weights, out.Description)
	return out
}

func (l *Lambda) createAlias(c *call) (any, error) {
	var req aliasRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	name, _, err := c.name()
	if err != nil {
		return nil, err
	}
	f, err := l.function(c.ctx(), name, "")
	if err != nil {
		return nil, err
	}
	if _, there := f.Aliases[req.Name]; there {
		return nil, fault.New(fault.Conflict, "Alias already exists: %s", function.ARN(l.o.Region, name, req.Name))
	}
	if req.FunctionVersion == nil {
		return nil, badValue("1 validation error detected: Value at 'functionVersion' failed to satisfy constraint: Member must not be null")
	}
	return l.pointAlias(c, f, function.Alias{Name: req.Name}, req)
}

func (l *Lambda) updateAlias(c *call) (any, error) {
	var req aliasRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	f, a, err := l.alias(c)
	if err != nil {
		return nil, err
	}
	if req.RevisionID != "" && req.RevisionID != l.aliasOf(f, a).RevisionID {
		return nil, precondition("GetFunction/GetAlias")
	}
	return l.pointAlias(c, f, a, req)
}

// pointAlias makes of an alias what is asked for.
func (l *Lambda) pointAlias(c *call, f *catalog.Function, was function.Alias, req aliasRequest) (any, error) {
	to, err := req.alias(f, was)
	if err != nil {
		return nil, err
	}
	if was.Primary != to.Primary || !maps.Equal(was.Weights, to.Weights) {
		shift := wire.ShiftRequest{Shares: []wire.Share{{Version: to.Primary}}, Expects: &f.Last}
		for _, n := range slices.Sorted(maps.Keys(to.Weights)) {
			percent := to.Weights[n]
			shift.Shares = append(shift.Shares, wire.Share{Version: n, Percent: &percent})
		}
		if _, err := l.o.Control.ShiftAlias(c.ctx(), api.Alias{Function: f.Name, Name: to.Name}, shift); err != nil {
			return nil, err
		}
	}
	if f, err = l.remember(c.ctx(), f.Name, func(_ *catalog.Function, n *note) error {
		switch {
		case req.Description == nil:
		case *req.Description == "":
			delete(n.Aliases, to.Name)
		default:
			set(&n.Aliases, to.Name, *req.Description)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	return l.aliasOf(f, f.Aliases[to.Name]), nil
}

// alias is what an alias becomes.
func (req *aliasRequest) alias(f *catalog.Function, was function.Alias) (function.Alias, error) {
	to := function.Alias{Name: was.Name, Primary: was.Primary, Weights: maps.Clone(was.Weights)}
	if req.Description != nil {
		if err := checkDescription(*req.Description); err != nil {
			return to, err
		}
	}
	if req.FunctionVersion != nil {
		n, ok := numberOf(*req.FunctionVersion)
		switch {
		case *req.FunctionVersion == latestName:
			return to, badValue("FunctionVersion: an alias points at a version, and $LATEST is none").WithHint("the alias %s is what $LATEST points at", function.LiveAlias)
		case !ok:
			return to, badValue("FunctionVersion: %q is no version", fault.Clip(*req.FunctionVersion))
		}
		to.Primary = n
		delete(to.Weights, n)
	}
	if req.RoutingConfig != nil {
		to.Weights = nil
		for text, share := range req.RoutingConfig.AdditionalVersionWeights {
			n, ok := numberOf(text)
			parts := int(math.Round(share * 100))
			switch {
			case !ok:
				return to, badValue("AdditionalVersionWeights: %q is no version", fault.Clip(text))
			case n == to.Primary:
				return to, badValue("AdditionalVersionWeights: %d is FunctionVersion itself, which has the rest", n)
			case !(share >= 0 && share <= 1) || math.Abs(share*100-float64(parts)) > 1e-6:
				return to, badValue("AdditionalVersionWeights: %v of version %d is not from 0 to 1 in hundredths", share, n)
			}
			set(&to.Weights, n, parts)
		}
	}
	for _, n := range to.Versions() {
		if versionOf(f, n) == nil {
			return to, fault.New(fault.NotFound, "Function not found: %s", function.ARN(function.AWSRegion, f.Name, fmt.Sprint(n)))
		}
	}
	return to, nil
}

// alias finds what the path names.
func (l *Lambda) alias(c *call) (*catalog.Function, function.Alias, error) {
	name, _, err := c.name()
	if err != nil {
		return nil, function.Alias{}, err
	}
	f, err := l.function(c.ctx(), name, "")
	if err != nil {
		return nil, function.Alias{}, err
	}
	a, ok := f.Aliases[c.r.PathValue("alias")]
	if !ok {
		return nil, a, fault.New(fault.NotFound, "Cannot find alias arn: %s", function.ARN(l.o.Region, name, c.r.PathValue("alias")))
	}
	return f, a, nil
}

func (l *Lambda) getAlias(c *call) (any, error) {
	f, a, err := l.alias(c)
	if err != nil {
		return nil, err
	}
	return l.aliasOf(f, a), nil
}

type aliasesAnswer struct {
	Aliases    []aliasAnswer
	NextMarker string `json:",omitempty"`
}

func (l *Lambda) listAliases(c *call) (any, error) {
	p, err := c.page()
	if err != nil {
		return nil, err
	}
	name, _, err := c.name()
	if err != nil {
		return nil, err
	}
	f, err := l.function(c.ctx(), name, "")
	if err != nil {
		return nil, err
	}
	all := []aliasAnswer{}
	for _, alias := range slices.Sorted(maps.Keys(f.Aliases)) {
		one := l.aliasOf(f, f.Aliases[alias])
		if of := c.q.Get("FunctionVersion"); of == "" || of == one.FunctionVersion {
			all = append(all, one)
		}
	}
	list, next := cut(p, all, func(a aliasAnswer) string { return a.Name })
	return aliasesAnswer{list, next}, nil
}

func (l *Lambda) deleteAlias(c *call) (any, error) {
	name, _, err := c.name()
	if err != nil {
		return nil, err
	}
	f, err := l.function(c.ctx(), name, "")
	if err != nil {
		return nil, err
	}
	alias := c.r.PathValue("alias")
	if _, there := f.Aliases[alias]; !there {
		return nil, nil // as AWS answers
	}
	_, err = l.o.Control.RemoveAlias(c.ctx(), api.Alias{Function: name, Name: alias})
	return nil, err
}
