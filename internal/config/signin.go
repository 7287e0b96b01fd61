package config

import (
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/function"
)

// Signin says which issuer's tokens are taken on the control listener, and what people may by the groups that they are in.
type Signin struct {
	Issuer string // "" = nobody's
	Client string // the audience that a token must be for
	Secret string // file with what the issuer gave the client to show it is the client; "" = it has none
	Scopes List   // beside openid, that people are asked for at a browser
	Origin string // by which browsers reach the control listener, scheme://host; "" = as they say
	Claim  string // that holds the groups
	Groups Groups
}

// Groups is what each group has, whose name is as the issuer writes it: ROLE, or ROLE@ENVIRONMENT.
type Groups map[string]string

// Role is the role that a group has, and the environment that it is for alone; "" = all of them.
func (g Groups) Role(group string) (role, environment string) {
	role, environment, _ = strings.Cut(g[group], "@")
	return role, environment
}

// UnmarshalText reads GROUP=ROLE[@ENVIRONMENT],...
func (g *Groups) UnmarshalText(text []byte) error {
	*g = nil
	for item := range strings.SplitSeq(string(text), ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		at := strings.LastIndexByte(item, '=')
		if at < 1 || at == len(item)-1 {
			return fmt.Errorf("%q is not GROUP=ROLE or GROUP=ROLE@ENVIRONMENT", item)
		}
		if *g == nil {
			*g = Groups{}
		}
		(*g)[strings.TrimSpace(item[:at])] = strings.TrimSpace(item[at+1:])
	}
	return nil
}

// String is what UnmarshalText reads, in the order of the names.
func (g Groups) String() string {
	var items []string
	for _, name := range slices.Sorted(maps.Keys(g)) {
		items = append(items, name+"="+g[name])
	}
	return "[" + strings.Join(items, ", ") + "]"
}

func signinSettings() []Setting {
	return []Setting{
		{Key: "signin.issuer", Form: "URL", Help: "The OpenID provider whose ID tokens, or access tokens that are JWTs, open the control listener: https://id.example. Its keys are found by OpenID Connect Discovery. Default: none; docs/access.md.",
			with:  []string{"signin.groups"},
			value: func(n *Node) any { return &n.Signin.Issuer }, check: func(n *Node) string { return n.Signin.check() }},
		{Key: "signin.client", Form: "text", Help: "What this installation is called there (client_id): a token must be for it (aud).",
			value: func(n *Node) any { return &n.Signin.Client }, check: func(*Node) string { return "" }},
		{Key: "signin.secret", Form: "file", Help: "The file with the client secret that the issuer gave, where it gave one: people sign in with a browser by it. Read at each sign-in.",
			value: func(n *Node) any { return &n.Signin.Secret }, check: func(*Node) string { return "" }},
		{Key: "signin.scopes", Form: "list of scopes", List: true, Help: "What is asked for at a browser beside openid, such as groups. Default: none.",
			value: func(n *Node) any { return &n.Signin.Scopes }, check: func(*Node) string { return "" }},
		{Key: "signin.origin", Form: "https://HOST[:PORT]", Help: "How browsers reach the control listener, where something stands before it. The issuer has to know ORIGIN/signin/callback as redirect URI. Default: the host that they ask for, by https where the listener has TLS.",
			value: func(n *Node) any { return &n.Signin.Origin }, check: func(n *Node) string { return origin(n.Signin.Origin) }},
		{Key: "signin.claim", Form: "text", Live: true, Help: "The claim of a token that lists the groups of who has it.",
			value: func(n *Node) any { return &n.Signin.Claim }, check: func(*Node) string { return "" }},
		{Key: "signin.groups", Form: "list of GROUP=ROLE[@ENVIRONMENT]", List: true, Live: true, Help: "The role of each group: viewer, deployer, operator or admin; deployer@acme is for the environment acme alone, as a token of it is (docs/tenants.md). Who is in several has the one that is named last in that order, of those for all environments where he has one; who is in none may nothing.",
			value: func(n *Node) any { return &n.Signin.Groups },
			check: func(n *Node) string {
				for group, has := range n.Signin.Groups {
					role, env := n.Signin.Groups.Role(group)
					if env != "" || strings.Contains(has, "@") {
						if err := function.CheckEnvironment(env); err != nil {
							return fmt.Sprintf("has an environment of the group %q that is none: %v", group, err)
						}
					}
					if bad := oneOf(role, "viewer", "deployer", "operator", "admin"); bad != "" {
						return fmt.Sprintf("has a role of the group %q that %s", group, bad)
					}
				}
				return ""
			}},
	}
}

// check says what is wrong with whom it names, for the setting signin.issuer.
func (s *Signin) check() string {
	if s.Issuer == "" {
		if s.Client != "" || len(s.Groups) > 0 || s.Secret != "" || s.Origin != "" {
			return "is not given, and the other settings of signin mean nothing without it"
		}
		return ""
	}
	u, err := url.Parse(s.Issuer)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "is no URL such as https://id.example"
	case u.Scheme != "https" && (u.Scheme != "http" || !onThisMachine(u.Hostname())):
		return "must be https, but on this machine: whoever is on the way could sign tokens"
	case s.Client == "":
		return "is given without signin.client: every token of the issuer's would do, whatever it is for"
	case len(s.Groups) == 0:
		return "is given without signin.groups: nobody could do anything"
	}
	return ""
}

// origin says what is wrong with a scheme and a host.
func origin(text string) string {
	u, err := url.Parse(text)
	switch {
	case text == "":
	case err != nil || u.Host == "" || text != u.Scheme+"://"+u.Host:
		return "is not like https://console.example: a scheme and a host alone"
	case u.Scheme != "https" && (u.Scheme != "http" || !onThisMachine(u.Hostname())):
		return "must be https, but on this machine: whoever is on the way could take the session"
	}
	return ""
}

func onThisMachine(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.Unmap().IsLoopback()
}
