package hook

import (
	"net/http"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// bitbucket is Bitbucket Cloud, and Bitbucket Data Center, which signs alike and tells in another form.
// // support.atlassian.com: "Event payloads", "Manage webhooks"; confluence.atlassian.com, Bitbucket Data Center: "Event payload"
type bitbucket struct{}

func (bitbucket) Word() string { return function.ProviderBitbucket }

const bitbucketSignature = "X-Hub-Signature"

func (bitbucket) admit(h http.Header, _ []byte) error { return admitSigned(h, bitbucketSignature) }

func (bitbucket) prove(c Call, secret []byte, _ time.Time) error {
	signature, ok := strings.CutPrefix(only(c.Header, bitbucketSignature), "sha256=")
	if !ok {
		return wrongSignature()
	}
	return proveBody(c.Body, secret, signature)
}

type bitbucketPush struct {
	Push struct {
		Changes listed[struct {
			New    *bitbucketRef `json:"new"` // nil = it is gone
			Old    *bitbucketRef `json:"old"`
			Forced bool          `json:"forced"`
		}] `json:"changes"`
	} `json:"push"`
	Actor struct {
		Nickname string `json:"nickname"`
	} `json:"actor"`
}

type bitbucketRef struct {
	Type   string `json:"type"` // branch, tag, and others of Mercurial
	Name   string `json:"name"`
	Target struct {
		Hash string `json:"hash"`
	} `json:"target"`
}

func (r *bitbucketRef) ref() string {
	if r.Type == "tag" {
		return "refs/tags/" + r.Name
	}
	return "refs/heads/" + r.Name
}

func (bitbucket) read(c Call) (delivery string, changes []change, note string, err error) {
	delivery = only(c.Header, "X-Request-UUID")
	switch kind := only(c.Header, "X-Event-Key"); kind {
	case "repo:push":
	case "repo:refs_changed":
		changes, err = readDataCenter(c.Body)
		return only(c.Header, "X-Request-Id"), changes, "", err
	default:
		return delivery, nil, other(kind), nil
	}
	var p bitbucketPush
	if err := decode("Bitbucket", c.Body, &p); err != nil {
		return "", nil, "", err
	}
	for _, one := range p.Push.Changes {
		made := change{forced: one.Forced, pusher: p.Actor.Nickname}
		if one.Old != nil {
			made.ref, made.before = one.Old.ref(), one.Old.Target.Hash
		}
		if one.New != nil {
			made.ref, made.after = one.New.ref(), one.New.Target.Hash
		}
		changes = append(changes, made)
	}
	return delivery, changes, "", nil
}

// dataCenterPush is what a Data Center tells of a push.
type dataCenterPush struct {
	Actor struct {
		Name string `json:"name"`
	} `json:"actor"`
	Changes listed[struct {
		Ref    string `json:"refId"` // whole
		Before string `json:"fromHash"`
		After  string `json:"toHash"`
	}] `json:"changes"`
}

func readDataCenter(body []byte) ([]change, error) {
	var p dataCenterPush
	if err := decode("Bitbucket", body, &p); err != nil {
		return nil, err
	}
	var changes []change
	for _, one := range p.Changes {
		changes = append(changes, change{ref: one.Ref, before: one.Before, after: one.After, pusher: p.Actor.Name})
	}
	return changes, nil
}
