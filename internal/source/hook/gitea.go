package hook

import (
	"net/http"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// gitea is Gitea, and Forgejo, which sends the same under both names. // docs.gitea.com, "Webhooks"
type gitea struct{}

func (gitea) Word() string { return function.ProviderGitea }

const giteaSignature = "X-Gitea-Signature"

func (gitea) admit(h http.Header, _ []byte) error { return admitSigned(h, giteaSignature) }

func (gitea) prove(c Call, secret []byte, _ time.Time) error {
	return proveBody(c.Body, secret, only(c.Header, giteaSignature))
}

// giteaDelete tells that a branch or a tag is gone, which is no push there.
type giteaDelete struct {
	Ref     string `json:"ref"` // its name alone
	RefType string `json:"ref_type"`
	Sender  struct {
		Login string `json:"login"`
	} `json:"sender"`
}

func (gitea) read(c Call) (delivery string, changes []change, note string, err error) {
	delivery = only(c.Header, "X-Gitea-Delivery")
	switch kind := only(c.Header, "X-Gitea-Event"); kind {
	case "push":
		var p githubPush
		if err := decode("Gitea", c.Body, &p); err != nil {
			return "", nil, "", err
		}
		return delivery, []change{p.change()}, "", nil
	case "delete":
		var d giteaDelete
		if err := decode("Gitea", c.Body, &d); err != nil {
			return "", nil, "", err
		}
		prefixes := map[string]string{"branch": "refs/heads/", "tag": "refs/tags/"}
		return delivery, []change{{ref: prefixes[d.RefType] + d.Ref, pusher: d.Sender.Login}}, "", nil
	default:
		return delivery, nil, other(kind), nil
	}
}
