package hook

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"unicode"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// Registry is the provider of notifications in the form of Docker's registry: an envelope of events,
// application/vnd.docker.distribution.events.v2+json. // distribution/distribution docs, about/notifications
type Registry struct {
	// Sender is whose token a request shows: a name, or function.NodeToken.
	Sender func(h http.Header) (string, error)
	// Pushed takes note of a push. The id is the same when the same event comes again.
	Pushed   func(id string, p function.ImagePushed) error
	Refusals *Refusals // nil = nobody counts
}

// envelope is what is looked at of a request's body.
type envelope struct {
	Events listed[struct {
		ID     string `json:"id"`
		Action string `json:"action"`
		Target struct {
			MediaType  string `json:"mediaType"`
			Digest     string `json:"digest"`
			Size       int64  `json:"size"`
			Repository string `json:"repository"`
			Tag        string `json:"tag"`
		} `json:"target"`
		Actor struct {
			Name string `json:"name"`
		} `json:"actor"`
	}] `json:"events"`
}

// maxNotification is in bytes.
const maxNotification = 1 << 20

// Admit implements Provider: the token is in a header.
func (g Registry) Admit(c Call) (most int64, err error) {
	return maxNotification, g.Refusals.count("registry", "", g.authorize(c))
}

// Take implements Provider. Events of other actions than a push of a tag are nothing to anybody here.
func (g Registry) Take(c Call) (note string, err error) {
	var e envelope
	err = json.Unmarshal(c.Body, &e)
	if fault.KindOf(err) == fault.TooLarge {
		return "", err
	}
	if err != nil || e.Events == nil {
		return "", fault.New(fault.Invalid, "the body is not a registry's notification: it has no array of events").
			WithHint("it takes the envelope of Docker's registry (distribution), version 2 of its events")
	}
	var pushes []function.ImagePushed
	var ids []string
	for i, one := range e.Events {
		if one.Action != "push" || one.Target.Tag == "" {
			continue
		}
		p := function.ImagePushed{
			Registry: c.Name, Repository: one.Target.Repository, Tag: one.Target.Tag, Digest: one.Target.Digest,
			MediaType: plain(one.Target.MediaType), Bytes: max(0, one.Target.Size), Pusher: plain(one.Actor.Name),
		}
		if err := check(p); err != nil {
			return "", fmt.Errorf("events[%d].target: %w", i, err)
		}
		pushes, ids = append(pushes, p), append(ids, identity(c.Name, one.ID, p.Repository, p.Tag, p.Digest))
	}
	for i, p := range pushes {
		if err := g.Pushed(ids[i], p); err != nil {
			return "", err
		}
	}
	return "", nil
}

// authorize wants the token that has the hook's name, or the node's own.
func (g Registry) authorize(c Call) error {
	sender, err := g.Sender(c.Header)
	if err != nil {
		return err
	}
	if sender != c.Name && sender != function.NodeToken {
		return fault.New(fault.Unauthenticated, "the token %s is not that of the hook %s", sender, c.Name).
			WithHint("dalamb token create %s makes one; a hook takes the token of its own name", c.Name)
	}
	return nil
}

// Spelling of names, tags and digests: distribution-spec 1.1, "Pulling manifests".
var (
	spelledRepository = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)
	spelledTag        = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
	spelledDigest     = regexp.MustCompile(`^([a-z0-9+._-]{1,32}:[0-9a-f]{32,128})?$`)
)

// maxRepository is in bytes.
const maxRepository = 255

func check(p function.ImagePushed) error {
	for _, f := range []struct {
		name, text string
		ok         bool
	}{
		{"repository", p.Repository, len(p.Repository) <= maxRepository && spelledRepository.MatchString(p.Repository)},
		{"tag", p.Tag, spelledTag.MatchString(p.Tag)},
		{"digest", p.Digest, spelledDigest.MatchString(p.Digest)},
	} {
		if !f.ok {
			return fault.New(fault.Invalid, "%q is no %s", fault.Clip(f.text), f.name)
		}
	}
	return nil
}

// maxPlain is in bytes: what is kept is one line in a log.
const maxPlain = 200

// plain leaves of a text what can be shown.
func plain(s string) string {
	s = strings.ToValidUTF8(s, "")
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, s)
	if len(s) > maxPlain {
		return strings.ToValidUTF8(s[:maxPlain], "") // without the half of a letter
	}
	return s
}
