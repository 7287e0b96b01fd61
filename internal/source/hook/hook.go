// Package hook takes what other services tell of by an HTTP request: webhooks, under /_/hooks/PROVIDER/NAME on the gateway. What a request
// means, and whether who sends it may do so, is for its provider; this room finds that and says how much of the request is worth reading. The
// gateway reads and answers it; what was told is acted upon elsewhere.
package hook

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// prefix is where hooks are.
const prefix = "/_/hooks/"

// Call is one request to a hook.
type Call struct {
	Name   string // of the hook, in the path
	Header http.Header
	Body   []byte // not there yet for Admit
}

// Provider knows one kind of requests.
type Provider interface {
	// Admit looks at what comes before the body, and says how many bytes of that may be read. Unauthenticated where it shows already that the
	// request proves nothing.
	Admit(c Call) (most int64, err error)
	// Take acts upon a request that was admitted. What it has taken without an error is durable, and may come again; note says why nothing
	// comes of it, where that is so. Unauthenticated where the request does not show who sends it; nothing of the body has been believed then.
	Take(c Call) (note string, err error)
}

// Hooks are all providers by their word in the path. Safe for concurrent use.
type Hooks map[string]Provider

// Admit says how many bytes of a request's body may be read.
func (h Hooks) Admit(r *http.Request) (most int64, err error) {
	p, name, err := h.find(r)
	if err != nil {
		return 0, err
	}
	return p.Admit(Call{Name: name, Header: r.Header})
}

// Take gives a request that was admitted to its provider.
func (h Hooks) Take(r *http.Request, body []byte) (note string, err error) {
	p, name, err := h.find(r)
	if err != nil {
		return "", err
	}
	return p.Take(Call{Name: name, Header: r.Header, Body: body})
}

func (h Hooks) find(r *http.Request) (p Provider, name string, err error) {
	word, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, prefix), "/")
	p, ok := h[word]
	if !ok {
		return nil, "", fault.Missing("provider of hooks", fault.Clip(word), slices.Sorted(maps.Keys(h)))
	}
	if !function.ValidValueName(name) {
		return nil, "", fault.New(fault.NotFound, "there is no hook %q", fault.Clip(name)).WithHint("a hook is %s%s/NAME; NAME is small letters, digits and dashes", prefix, word)
	}
	if r.Method != http.MethodPost {
		return nil, "", fault.New(fault.Invalid, "%s is not possible on a hook", fault.Clip(r.Method)).WithHint("send it by POST")
	}
	return p, name, nil
}

// identity is a UUID of version 8, RFC 9562: the same for the same words.
func identity(words ...string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = fmt.Sprintf("%q", w)
	}
	sum := sha256.Sum256([]byte(strings.Join(quoted, " ")))
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}
