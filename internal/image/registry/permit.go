package registry

import (
	"net/http"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/fault"
)

// permit refuses what somebody's role may not. A push to a repository that functions follow deploys them; and what is removed may be what any function
// was deployed from, so that it takes the right over all.
func (g *Registry) permit(who access.Actor, method string, at place) error {
	err := who.May(access.Read)
	switch {
	case err != nil, method == http.MethodGet, method == http.MethodHead:
	case at.what == isUpload, at.what == isUploads, method != http.MethodDelete:
		err = who.Over(access.Deploy, g.follow(at.name)...)
	default:
		err = who.Everywhere(access.Administer)
	}
	if err == nil {
		return nil
	}
	return refuse(codeDenied, fault.Denied, "%v", err).hint("%s", fault.HintOf(err))
}
