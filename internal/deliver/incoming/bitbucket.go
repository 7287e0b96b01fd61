package incoming

import (
	"net/url"
	"strings"

	"github.com/dalamb/dalamb/internal/function"
)

// dataCenter is where a repository of Bitbucket Data Center is: everywhere but at bitbucket.org.
type dataCenter struct {
	base          string // URL, with the path that the server is at
	project, name string // of the repository
}

func dataCenterOf(h *function.Hook) (d dataCenter, ok bool) {
	u, err := url.Parse(h.URL)
	if err != nil || h.Provider != function.ProviderBitbucket || u.Hostname() == "bitbucket.org" {
		return d, false
	}
	at, path := "", h.Path()
	if before, after, has := strings.Cut("/"+path, "/scm/"); has { // https://HOST/scm/PROJECT/NAME.git; by ssh without scm
		at, path = before, after
	}
	d.project, d.name, ok = strings.Cut(path, "/")
	d.base = site(h) + at
	return d, ok
}

// repository is the path of the repository for people, and below the API.
func (d dataCenter) repository() string { return "/projects/" + d.project + "/repos/" + d.name }
