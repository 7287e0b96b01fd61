package git

import (
	"net/http"
	"regexp"
	"strings"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/fault"
)

// Services of the smart HTTP protocol. // git's gitprotocol-http(5)
const (
	receivePack = "git-receive-pack"
	uploadPack  = "git-upload-pack"
)

// prefix is where the server is mounted.
const prefix = "/git/"

// place is what a request is about.
type place struct {
	name      string // of the repository
	service   string
	advertise bool // the refs alone
}

// right is what a request needs; over which functions, a push is asked when it is known what it delivers.
func (p place) right() access.Right {
	if p.service == receivePack {
		return access.Deploy
	}
	return access.Read
}

const maxRepositoryName = 100

// A name is one part of a path, so that no repository is inside of another one, and none begins as an option does.
var validRepository = regexp.MustCompile(`^[a-z0-9]([-_.a-z0-9]*[a-z0-9])?$`)

// parsePlace reads a path. What is not part of the smart protocol is not served: no file of a repository can be asked for.
func parsePlace(method, path, service string) (place, error) {
	rest, ok := strings.CutPrefix(path, prefix)
	name, rest, _ := strings.Cut(rest, "/")
	name = strings.TrimSuffix(name, ".git")
	switch {
	case !ok || name == "":
		return place{}, fault.New(fault.NotFound, "there is nothing at %s", fault.Clip(path)).WithHint("repositories are at /git/NAME")
	case rest == "info/refs" && (service == receivePack || service == uploadPack) && method == http.MethodGet:
		return place{name: name, service: service, advertise: true}, CheckName(name)
	case (rest == receivePack || rest == uploadPack) && method == http.MethodPost:
		return place{name: name, service: rest}, CheckName(name)
	case rest == "info/refs" && service == "":
		return place{}, fault.New(fault.Denied, "this client is too old: it asks for files").WithHint("use git 1.6.6 or newer")
	}
	return place{}, fault.New(fault.NotFound, "there is nothing at %s for %s", fault.Clip(path), method).WithHint("a repository is for git push, fetch and clone")
}

// CheckName says what is wrong with the name of a repository.
func CheckName(name string) error {
	if len(name) <= maxRepositoryName && validRepository.MatchString(name) && !strings.Contains(name, "..") && !strings.HasSuffix(name, ".lock") {
		return nil
	}
	return fault.New(fault.Invalid, "%q is no name for a repository", fault.Clip(name)).
		WithHint("small letters and digits, with dots, dashes and underscores between them; at most %d characters: /git/shop", maxRepositoryName)
}
