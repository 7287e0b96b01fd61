package incoming

import (
	"bytes"
	"context"
	"net/url"
	"strings"

	"github.com/dalamb/dalamb/internal/deliver/git"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// access is what opens the repository of a hook as it is now.
func (k *Keeper) access(hook string) (a git.Access, err error) {
	h, err := k.o.Catalog.View().Hook(hook)
	if err != nil {
		return a, err
	}
	a.KnownHosts = h.KnownHosts
	if strings.HasPrefix(h.URL, "ssh:") {
		if a.Key, err = k.o.Secret(h.DeployKey); err == nil {
			err = checkKey(h.DeployKey, a.Key)
		}
		return a, err
	}
	if h.Token != "" {
		var value []byte
		if value, err = k.o.Secret(h.Token); err != nil {
			return a, err
		}
		a.User, a.Password = userOf(h.Provider, string(value))
		if strings.ContainsAny(a.User+a.Password, "\r\n\x00") {
			return a, fault.New(fault.Invalid, "the secret %q is no token: it has several lines", h.Token).WithHint("set it again: dalamb secret set %s", h.Token)
		}
	}
	return a, nil
}

// Opens refuses a hook whose key could open nothing. That its secrets are there is not looked at.
func (k *Keeper) Opens(h *function.Hook) error {
	if h.DeployKey == "" {
		return nil
	}
	if key, err := k.o.Secret(h.DeployKey); err == nil {
		return checkKey(h.DeployKey, key)
	}
	return nil
}

// checkKey wants a private key in a form that ssh reads: all of them are between lines as of RFC 7468.
func checkKey(secret string, key []byte) error {
	if bytes.Contains(key, []byte("-----BEGIN ")) && bytes.Contains(key, []byte("PRIVATE KEY-----")) {
		return nil
	}
	return fault.New(fault.Invalid, "the secret %q is no private key", secret).
		WithHint("ssh-keygen writes two files: the one without .pub is it; dalamb secret set %s --file FILE", secret)
}

// userOf is what a provider wants as the user beside a token; a value USER:TOKEN says it itself.
func userOf(provider, value string) (user, password string) {
	if user, password, ok := strings.Cut(value, ":"); ok {
		return user, password
	}
	user = map[string]string{
		function.ProviderGitHub: "x-access-token", function.ProviderGitLab: "oauth2", function.ProviderBitbucket: "x-token-auth", function.ProviderGitea: "git",
	}[provider]
	return user, value
}

// site is the provider's web address; by ssh nothing is said of it but the host.
func site(h *function.Hook) string {
	u, err := url.Parse(h.URL)
	if err != nil {
		return ""
	}
	if u.Scheme == "ssh" {
		return "https://" + u.Hostname()
	}
	return u.Scheme + "://" + u.Host
}

// link is where a person can look at a commit.
func link(h *function.Hook, commit string) string {
	if commit == "" {
		return ""
	}
	if d, ok := dataCenterOf(h); ok {
		return d.base + d.repository() + "/commits/" + commit
	}
	between := map[string]string{function.ProviderGitLab: "/-/commit/", function.ProviderBitbucket: "/commits/"}[h.Provider]
	if between == "" {
		between = "/commit/"
	}
	return site(h) + "/" + h.Path() + between + commit
}

// Check is one thing that a hook needs.
type Check struct {
	What   string // secret, repository or status
	Detail string // where it is good
	Err    error
}

// Test tries all that a hook needs, and changes nothing.
func (k *Keeper) Test(ctx context.Context, name string) ([]Check, error) {
	h, err := k.o.Catalog.View().Hook(name)
	if err != nil {
		return nil, err
	}
	checks := make([]Check, 0, 3)
	add := func(what, detail string, err error) {
		checks = append(checks, Check{what, detail, err})
	}
	secret, err := k.o.Secret(h.Secret)
	if err == nil && len(secret) < 16 {
		err = fault.New(fault.Invalid, "the secret %q has only %d characters", h.Secret, len(secret)).WithHint("who guesses it can tell of pushes: openssl rand -hex 32 makes a good one")
	}
	add("secret", h.Secret, err)
	access, err := k.access(name)
	var branches []string
	if err == nil {
		branches, err = k.o.Git.Branches(ctx, h.URL, h.Place(), access)
	}
	detail := h.Place() + " has no branches"
	if len(branches) > 0 {
		detail = h.Place() + " has " + strings.Join(branches[:min(len(branches), 5)], ", ")
		if len(branches) > 5 {
			detail += ", ..."
		}
	}
	add("repository", detail, err)
	switch {
	case h.NoStatus:
		add("status", "is not told", nil)
	case h.Token == "":
		add("status", "is not told: the hook has no token", nil)
	default:
		f, err := k.forge(&h.Hook)
		if err == nil {
			err = f.look(ctx)
		}
		add("status", "told at "+apiOf(&h.Hook), err)
	}
	return checks, nil
}
