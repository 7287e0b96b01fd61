package hook

import (
	"net/http"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// github is GitHub. // docs.github.com: "Webhook events and payloads", "Validating webhook deliveries"
type github struct{}

func (github) Word() string { return function.ProviderGitHub }

const githubSignature = "X-Hub-Signature-256"

func (github) admit(h http.Header, _ []byte) error { return admitSigned(h, githubSignature) }

func (github) prove(c Call, secret []byte, _ time.Time) error {
	signature, ok := strings.CutPrefix(only(c.Header, githubSignature), "sha256=")
	if !ok {
		return wrongSignature()
	}
	return proveBody(c.Body, secret, signature)
}

// githubPush is what is looked at of a push; Gitea sends the same.
type githubPush struct {
	Ref    string `json:"ref"`
	Before string `json:"before"`
	After  string `json:"after"`
	Forced bool   `json:"forced"`
	Pusher struct {
		Name     string `json:"name"`
		Username string `json:"username"` // Gitea's
	} `json:"pusher"`
}

func (p *githubPush) change() change {
	pusher := p.Pusher.Username
	if pusher == "" {
		pusher = p.Pusher.Name
	}
	return change{ref: p.Ref, before: p.Before, after: p.After, forced: p.Forced, pusher: pusher}
}

func (github) read(c Call) (delivery string, changes []change, note string, err error) {
	delivery = only(c.Header, "X-GitHub-Delivery")
	if kind := only(c.Header, "X-GitHub-Event"); kind != "push" {
		return delivery, nil, other(kind), nil
	}
	var p githubPush
	if err := decode("GitHub", c.Body, &p); err != nil {
		return "", nil, "", err
	}
	return delivery, []change{p.change()}, "", nil
}
