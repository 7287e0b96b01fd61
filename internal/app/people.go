package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/config"
	"github.com/dalamb/dalamb/internal/console"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/issuer"
	"github.com/dalamb/dalamb/internal/signin"
)

// people knows who a token is of that the configured issuer has signed; nil where there is none.
func (n *Node) people() func(ctx context.Context, token string) (access.Actor, error) {
	s := n.config.Signin
	if s.Issuer == "" {
		return nil
	}
	n.taken.signin.Store(&s)
	known := issuer.New(issuer.Options{Issuer: s.Issuer, Audience: []string{s.Client}})
	return func(ctx context.Context, token string) (access.Actor, error) {
		claims, err := known.Verify(ctx, token)
		if refused, ok := errors.AsType[*issuer.Refused](err); ok {
			return access.Actor{}, fault.New(fault.Unauthenticated, "%w", refused).WithHint("get a new one from %s", s.Issuer)
		}
		if err != nil {
			n.logger.Warn("the keys of the issuer that people sign in with cannot be had", "err", err)
			return access.Actor{}, fault.New(fault.Unavailable, "the keys of %s cannot be had, so that nobody knows whose the token is", s.Issuer).WithHint("try again in a moment; the node's log says why")
		}
		who, err := person(claims, n.taken.signin.Load())
		if err == nil && who.Grant.Expired(time.Now()) { // to the second, so that it ends here when it ends for what it has opened
			err = fault.New(fault.Unauthenticated, "the token has expired").WithHint("get a new one from %s", s.Issuer)
		}
		return who, err
	}
}

// provider is with whom people sign in at a browser; nil where nobody is configured.
func (n *Node) provider() *console.Provider {
	s := n.config.Signin
	if s.Issuer == "" {
		return nil
	}
	return &console.Provider{
		Provider: signin.New(signin.Options{Issuer: s.Issuer, Client: s.Client, Scopes: s.Scopes}),
		Issuer:   s.Issuer,
		Origin:   s.Origin,
		Secret: func() (string, error) {
			if s.Secret == "" {
				return "", nil
			}
			text, err := os.ReadFile(s.Secret)
			if err == nil && len(bytes.TrimSpace(text)) == 0 {
				err = fmt.Errorf("%s is empty", s.Secret)
			}
			if err != nil {
				return "", fmt.Errorf("read signin.secret: %w", err)
			}
			return strings.TrimSpace(string(text)), nil
		},
	}
}

// maxSubject is in bytes. OpenID Connect Core 1.0, section 2, has 255 characters.
const maxSubject = 255

// person is whom claims are about, with the widest role of his groups: of those for all environments, else of those for the one that he is of.
func person(claims map[string]any, s *config.Signin) (access.Actor, error) {
	subject, _ := claims["sub"].(string)
	if subject == "" || len(subject) > maxSubject || strings.ContainsFunc(subject, unicode.IsControl) {
		return access.Actor{}, fault.New(fault.Unauthenticated, "the token does not say whose it is").WithHint("its claim sub must be a name")
	}
	who := access.Actor{Type: access.User, ID: subject}
	if at, ok := claims["exp"].(float64); ok {
		who.Expires = time.Unix(int64(at), 0)
	}
	in, has := groupsOf(claims[s.Claim]), map[string]access.Role{} // by environment, "" = all
	for _, role := range access.Roles() {                          // the widest is the last
		for group := range s.Groups {
			if of, env := s.Groups.Role(group); of == string(role) && in[group] {
				has[env] = role
			}
		}
	}
	if role, whole := has[""]; whole {
		who.Role = role
		return who, nil
	}
	switch len(has) {
	case 1:
		for env, role := range has {
			who.Role, who.Environment = role, env
		}
		return who, nil
	case 0:
		return who, fault.New(fault.Denied, "the %s is in no group that has a role here", who).
			WithHint("signin.groups gives roles to groups, which the token lists in its claim %s", s.Claim)
	}
	return who, fault.New(fault.Denied, "the %s is in groups for several environments (%s), and is one of them at a time", who, strings.Join(slices.Sorted(maps.Keys(has)), ", ")).
		WithHint("have a token list the groups of one of them in its claim %s, or give a group of his a role for all environments", s.Claim)
}

// groupsOf are the groups that a claim names: a list, or one.
func groupsOf(claim any) map[string]bool {
	in := map[string]bool{}
	switch c := claim.(type) {
	case string:
		in[c] = true
	case []any:
		for _, one := range c {
			if name, ok := one.(string); ok {
				in[name] = true
			}
		}
	}
	return in
}
