// Package hook takes what other services tell of by an HTTP request: webhooks, under /_/hooks/PROVIDER/NAME on the gateway. What a request
// means, and whether who sends it may do so, is for its provider; this room finds that and bounds the request. The gateway answers it.
package hook

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
)

// prefix is where hooks are.
const prefix = "/_/hooks/"

// maxBody is in bytes.
const maxBody = 1 << 20

// Call is one request to a hook.
type Call struct {
	Name   string // of the hook, in the path
	Header http.Header
	Body   []byte
}

// Provider knows one kind of requests. What it has taken without an error is durable, and may come again. Unauthenticated where the
// request does not show who sends it; nothing of the body has been believed then.
type Provider interface {
	Take(c Call) error
}

// Hooks are all providers by their word in the path. Safe for concurrent use.
type Hooks map[string]Provider

// Take gives a request to its provider.
func (h Hooks) Take(w http.ResponseWriter, r *http.Request) error {
	word, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, prefix), "/")
	p, ok := h[word]
	if !ok {
		return fault.Missing("provider of hooks", fault.Clip(word), slices.Sorted(maps.Keys(h)))
	}
	if !validName.MatchString(name) {
		return fault.New(fault.NotFound, "there is no hook %q", fault.Clip(name)).WithHint("a hook is %s%s/NAME; NAME is small letters, digits and dashes", prefix, word)
	}
	if r.Method != http.MethodPost {
		return fault.New(fault.Invalid, "%s is not possible on a hook", fault.Clip(r.Method)).WithHint("send it by POST")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return fault.New(fault.TooLarge, "the body has more than %d KiB", maxBody>>10)
	}
	if err != nil {
		return fault.New(fault.Invalid, "the body did not come whole: %w", err)
	}
	return p.Take(Call{Name: name, Header: r.Header, Body: body})
}

// validName is of hooks as it is of tokens and functions.
var validName = regexp.MustCompile(`^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$`)
