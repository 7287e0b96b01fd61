package access

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
)

// Actor is who asks for something, and what he may. Type and ID are as in CloudEvents' extension "Auth Context".
type Actor struct {
	Type, ID string
	Grant
}

// Values of Actor.Type.
const (
	User   = "user"    // a person, by the subject of an OpenID issuer's token
	APIKey = "api_key" // a token or an access key, by its name
	System = "system"  // the node itself, or what it does for somebody: hook/NAME, images
)

// Node is the node itself, which does what it has decided, such as the next step of a roll-out.
func Node() Actor { return Actor{Type: System, ID: "node", Grant: Grant{Role: Admin}} }

// Own is who shows the node's own token. It ends with the token's file alone.
func Own() Actor { return Actor{Type: APIKey, ID: "node", Grant: Grant{Role: Admin}} }

// Acting is the node, doing what somebody outside who has no token made it do.
func Acting(name string) Actor { return Actor{Type: System, ID: name, Grant: Grant{Role: Admin}} }

type key struct{}

// With says in a context who asks.
func With(ctx context.Context, a Actor) context.Context { return context.WithValue(ctx, key{}, a) }

// From is who asks; the node itself where nobody was said. Every handler of a listener says somebody before it serves.
func From(ctx context.Context) Actor {
	if a, ok := ctx.Value(key{}).(Actor); ok {
		return a
	}
	return Node()
}

// String names an actor as a person is told of him.
func (a Actor) String() string {
	if a.Type == APIKey {
		return "token " + a.ID
	}
	return a.Type + " " + a.ID
}

// May refuses what an actor's role has no right to.
func (a Actor) May(right Right) error {
	if a.Role.Has(right) {
		return nil
	}
	if a.Role == Sender {
		return fault.New(fault.Denied, "the %s sends events and does nothing else; this needs the right to %s", a, right).WithHint("%s", remedy(right))
	}
	return fault.New(fault.Denied, "the %s has the role %s, which may not %s", a, a.Role, right).WithHint("%s", remedy(right))
}

func remedy(right Right) string {
	return fmt.Sprintf("use a token with the role %s: dalamb token create NAME --role ROLE", with(right))
}

// Over refuses what an actor has no right to, or not for all of the functions that it is about; which, it says.
func (a Actor) Over(right Right, functions ...string) error {
	if err := a.May(right); err != nil {
		return err
	}
	var not []string
	for _, fn := range functions {
		if !a.Covers(fn) {
			not = append(not, fmt.Sprintf("%q", fault.Clip(fn)))
		}
	}
	if not == nil {
		return nil
	}
	refused := fault.New(fault.Denied, "the %s may %s %s, and not %s", a, right, strings.TrimPrefix(a.Bound(), "the functions "), strings.Join(not, ", "))
	if !a.Role.bounded() {
		if fn := functions[0]; len(functions) == 1 && !strings.Contains(fn, ".") {
			return refused.WithHint("call it %s.%s, as it is called in environment %s", a.Environment, fault.Clip(fn), a.Environment)
		}
		return refused.WithHint("use a token that is for them: one of their environment, or of none")
	}
	return refused.
		WithHint("use a token that is for them: dalamb token create NAME --role %s --functions ...", a.Role)
}

// Everywhere refuses what is about no function to whom has rights over some functions alone.
func (a Actor) Everywhere(right Right) error {
	if err := a.May(right); err != nil {
		return err
	}
	if a.Whole() {
		return nil
	}
	return fault.New(fault.Denied, "the %s is for %s, and this is about more than them", a, a.Bound()).
		WithHint("use a token with the role %s that is for all functions", a.Role)
}

// Shared refuses what all environments share to whom is there for one of them.
func (a Actor) Shared() error {
	if a.Environment == "" {
		return nil
	}
	return fault.New(fault.Denied, "the %s is for environment %s, and this is of the whole installation", a, a.Environment).
		WithHint("use a token that is for no environment alone")
}

// Shown is the token that a request shows: as the password of Basic, or as a Bearer token; "" = none. RFC 7617; RFC 6750.
func Shown(r *http.Request) string {
	if _, password, ok := r.BasicAuth(); ok {
		return password
	}
	return Bearer(r)
}

// Bearer is the Bearer token that a request shows; "" = none.
func Bearer(r *http.Request) string {
	values := r.Header["Authorization"]
	if len(values) != 1 {
		return ""
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
