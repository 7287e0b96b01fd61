package api

import (
	"fmt"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// otherDeliverer is the warning that the alias which a deploy moves was last moved by a deploy from elsewhere: of two who deliver the same
// function each undoes what the other does. "" = it was not, or nobody knows. Nothing is refused for it: teams move repositories.
func otherDeliverer(f *catalog.Function, req *wire.DeployRequest) string {
	was, by := f.Delivered[req.Alias], catalog.Deliverer(req.Origin)
	if was == nil || by == nil || was.Kind == by.Kind && was.Repository == by.Repository {
		return ""
	}
	return fmt.Sprintf("alias %s of %s was last moved by %s; the next delivery from there moves it again", req.Alias, f.Name, deliverer(was))
}

// deliverer names, for a person, whose deploy it was.
func deliverer(o *function.Origin) string {
	who := "dalamb deploy, or another client of the API"
	switch {
	case o.Kind == function.OriginGit:
		who = "repository " + o.Repository
	case o.Kind == function.OriginWebhook:
		who = "the webhook of " + o.Repository
	case o.Repository != "":
		who = o.Repository
	}
	if o.Commit != "" {
		who += fmt.Sprintf(" (commit %s)", o.Commit[:min(12, len(o.Commit))])
	}
	return who
}
