package api

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

func (a *API) listVersions(r *http.Request, _ query) (any, error) {
	f, err := a.catalog.View().Function(r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	out := wire.VersionList{Function: f.Name, Versions: []wire.Version{}}
	for _, v := range slices.Backward(f.Versions) {
		out.Keep = cmp.Or(out.Keep, v.Spec.Kept())
		out.Versions = append(out.Versions, a.version(f, v))
	}
	return out, nil
}

func (a *API) version(f *catalog.Function, v *function.Version) wire.Version {
	out := wire.Version{Number: v.Number, Created: v.Created, Origin: v.Origin, Built: v.Built, By: v.By, Code: v.Code, Error: a.imageTrouble(v)}
	if v.Code != "" {
		n, err := a.code.Size(v.Code)
		if err != nil && v.Stored == nil { // else it comes from the log when it is wanted
			out.Error = err.Error()
		}
		out.Bytes = n
	}
	if v.Image != nil {
		out.Image, out.Digest = v.Image.Reference, v.Image.Digest
		if a.images != nil {
			out.Bytes += a.images.Unpacked(v.Image)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f.Aliases)) {
		alias := f.Aliases[name]
		if slices.Contains(alias.Versions(), v.Number) {
			out.Aliases = append(out.Aliases, wire.AliasShare{Alias: name, Primary: v.Number == alias.Primary, Percent: alias.Share(v.Number)})
		}
	}
	return out
}

func (a *API) listAliases(r *http.Request, _ query) (any, error) {
	f, err := a.catalog.View().Function(r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	out := wire.AliasList{Function: f.Name, Aliases: []wire.Alias{}}
	for _, name := range slices.Sorted(maps.Keys(f.Aliases)) {
		out.Aliases = append(out.Aliases, aliasOf(f, f.Aliases[name]))
	}
	return out, nil
}

func aliasOf(f *catalog.Function, alias function.Alias) wire.Alias {
	out := wire.Alias{Name: alias.Name, Primary: alias.Primary, Shares: sharesOf(alias), Path: "/_/fn/" + f.Name + ":" + alias.Name}
	if n, err := f.Before(alias.Name); err == nil {
		out.Before = n
	}
	return out
}

// sharesOf lists the shares of an alias, the primary first and then by number.
func sharesOf(alias function.Alias) []wire.Share {
	ns := alias.Versions()
	slices.Sort(ns[1:])
	var out []wire.Share
	for _, n := range ns {
		parts := alias.Share(n)
		out = append(out, wire.Share{Version: n, Percent: &parts})
	}
	return out
}

func (a *API) removeAlias(r *http.Request, _ query) (any, error) {
	out, err := a.RemoveAlias(r.Context(), Alias{r.PathValue("name"), r.PathValue("alias")})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// RemoveAlias takes an alias away; its versions stay.
func (a *API) RemoveAlias(ctx context.Context, alias Alias) (wire.AliasRemoved, error) {
	out := wire.AliasRemoved{Function: alias.Function}
	f, err := a.catalog.View().Function(alias.Function)
	if err != nil {
		return out, err
	}
	if was, ok := f.Aliases[alias.Name]; ok {
		out.Alias = aliasOf(f, was)
	}
	_, err = a.catalog.Submit(ctx, catalog.RemoveAlias{Function: alias.Function, Alias: alias.Name, Expects: &f.Last})
	return out, err
}

// aliasFor makes of the shares that are asked for what an alias is. Its primary is the version without a share of its own, which has
// the rest; where all have one, the primary stays while it is among them, and else it is the one with the largest.
func aliasFor(was function.Alias, shares []wire.Share) (function.Alias, error) {
	out := function.Alias{Name: was.Name, Weights: map[int]int{}}
	total := 0
	bad := func(format string, args ...any) (function.Alias, error) {
		return out, fault.New(fault.Invalid, "alias %s: "+format, append([]any{was.Name}, args...)...).
			WithHint("such as 4; or 3,4:10: version 4 gets 10 of 100, and version 3, the primary, the rest")
	}
	if len(shares) == 0 {
		return bad("no version is named")
	}
	largest := 0
	for _, s := range shares {
		_, twice := out.Weights[s.Version]
		switch {
		case s.Version < 1:
			return bad("%d is no version", s.Version)
		case twice, s.Version == out.Primary:
			return bad("version %d is named twice", s.Version)
		case s.Percent == nil && out.Primary != 0:
			return bad("versions %d and %d have no share", out.Primary, s.Version)
		case s.Percent == nil:
			out.Primary = s.Version
			continue
		case *s.Percent < 0 || *s.Percent > 100:
			return bad("the share of version %d is not from 0 to 100", s.Version)
		}
		out.Weights[s.Version] = *s.Percent
		total += *s.Percent
		if largest == 0 || *s.Percent > out.Weights[largest] {
			largest = s.Version
		}
	}
	switch {
	case total > 100:
		return bad("the shares sum to %d, which is more than 100", total)
	case out.Primary == 0 && total < 100:
		return bad("the shares sum to %d, and no version is named that has the rest", total)
	case out.Primary == 0:
		out.Primary = largest
		if _, named := out.Weights[was.Primary]; named {
			out.Primary = was.Primary
		}
		delete(out.Weights, out.Primary)
	}
	if len(out.Weights) == 0 {
		out.Weights = nil
	}
	return out, nil
}
