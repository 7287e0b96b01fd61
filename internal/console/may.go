package console

import (
	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/wire"
)

// visitor is who is signed in, and what he may: what he may not, has no button. The API decides all the same.
type visitor struct{ access.Actor }

func visitorOf(s wire.Self) visitor {
	return visitor{access.Actor{Type: s.Type, ID: s.ID, Grant: access.Grant{Role: access.Role(s.Role), Functions: s.Functions, Environment: s.Environment, Expires: s.Expires}}}
}

// May says whether the visitor has a right over functions, or, where none is named, at all.
func (v visitor) May(right string, functions ...string) bool {
	return v.Over(access.Right(right), functions...) == nil
}

// Name is who it is, as the pages say it.
func (v visitor) Name() string {
	if v.Type == access.APIKey {
		return "token " + v.ID
	}
	return v.ID
}
