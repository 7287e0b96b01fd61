// Package access says who may do what: roles, the rights that each has, for which functions, and until when. It does not find out who asks
// (api, aws and gateway do), and does not know what a request does: who serves it asks for the right.
package access

import (
	"slices"
	"strings"
)

// Role is what somebody is here for.
type Role string

// Roles. The words are stored; none may change its meaning to a wider one.
const (
	Sender   Role = "sender"
	Viewer   Role = "viewer"
	Deployer Role = "deployer"
	Operator Role = "operator"
	Admin    Role = "admin"
)

// Right is what a request needs.
type Right string

// Rights.
const (
	Send       Right = "send events"
	Read       Right = "read"
	Deploy     Right = "deploy"
	Shift      Right = "shift"
	Call       Right = "call"
	Operate    Right = "operate"
	Administer Right = "administer"
)

// Roles lists all roles, those that may do least first.
func Roles() []Role { return []Role{Sender, Viewer, Deployer, Operator, Admin} }

// Rights lists all rights.
func Rights() []Right { return []Right{Send, Read, Deploy, Shift, Call, Operate, Administer} }

// rights are those of a role. Who makes versions of a function can have it do all that it may; so he may call it, too.
func (r Role) rights() []Right {
	switch r {
	case Sender:
		return []Right{Send}
	case Viewer:
		return []Right{Read}
	case Deployer:
		return []Right{Read, Deploy, Shift, Call}
	case Operator:
		return []Right{Read, Shift, Call, Operate}
	case Admin:
		return Rights()
	}
	return nil
}

// Has says whether a role has a right. One that is not known, as of a newer binary, has none.
func (r Role) Has(right Right) bool { return slices.Contains(r.rights(), right) }

// bounded says whether a role can be for some functions alone: what the others may do is about none, or is all there is.
func (r Role) bounded() bool { return r == Deployer || r == Operator }

// one is the role with its article.
func (r Role) one() string {
	if r == Admin || r == Operator {
		return "an " + string(r)
	}
	return "a " + string(r)
}

// with lists the roles that have a right, as a sentence does.
func with(right Right) string {
	var names []string
	for _, r := range Roles() {
		if r.Has(right) {
			names = append(names, string(r))
		}
	}
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}
