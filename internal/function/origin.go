package function

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/dalamb/dalamb/internal/fault"
)

// OriginKind is by which way a version came.
type OriginKind string

const (
	OriginCLI     OriginKind = "cli"
	OriginGit     OriginKind = "git"     // a push to the node
	OriginWebhook OriginKind = "webhook" // a push to somebody else's git server, who told of it
	OriginImage   OriginKind = "image"   // a push of an image
)

// Origin says where a version came from, so that what it does later can be traced to a commit. What is not known is empty. It is no part
// of the version's digest: the same content from elsewhere is the same version.
type Origin struct {
	Kind       OriginKind `json:"kind" enum:"cli,git,webhook,image"`
	Repository string     `json:"repository,omitempty"`
	Commit     string     `json:"commit,omitempty"` // whole, in hex
	Branch     string     `json:"branch,omitempty"` // without refs/heads/
	Author     string     `json:"author,omitempty"` // of the commit, as it says itself: NAME <MAIL>
	Pusher     string     `json:"pusher,omitempty"` // the user name that was given beside the token
	URL        string     `json:"url,omitempty"`    // where a person can look at it
}

// maxOrigin bounds each field, in bytes: an origin is kept in memory with every version.
const maxOrigin = 1024

// Validate refuses what no git and no image could have said.
func (o *Origin) Validate() error {
	switch o.Kind {
	case OriginCLI, OriginGit, OriginWebhook, OriginImage:
	default:
		return fault.New(fault.Invalid, "origin.kind: %q is not known", clip(string(o.Kind))).WithHint("allowed: cli, git, webhook, image")
	}
	for _, f := range []struct{ name, text string }{
		{"repository", o.Repository}, {"commit", o.Commit}, {"branch", o.Branch}, {"author", o.Author}, {"pusher", o.Pusher}, {"url", o.URL},
	} {
		if len(f.text) > maxOrigin || !utf8.ValidString(f.text) || strings.ContainsFunc(f.text, unicode.IsControl) {
			return fault.New(fault.Invalid, "origin.%s: is not one line of text of at most %d bytes", f.name, maxOrigin)
		}
	}
	if strings.Trim(o.Commit, "0123456789abcdef") != "" {
		return fault.New(fault.Invalid, "origin.commit: %q is not a commit in hex", clip(o.Commit))
	}
	return nil
}

// String is the origin on one line, such as "git shop main 1a2b3c4d5e6f, Jane Doe <jane@example.com>".
func (o *Origin) String() string {
	words := []string{string(o.Kind)}
	for _, w := range []string{o.Repository, o.Branch, o.Commit[:min(12, len(o.Commit))]} {
		if w != "" {
			words = append(words, w)
		}
	}
	line := strings.Join(words, " ")
	if o.Author != "" {
		line = fmt.Sprintf("%s, %s", line, o.Author)
	}
	return line
}
