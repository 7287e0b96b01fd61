// Package doctor owns what `dalamb doctor` says of a machine: a finding for each thing that a node wants from it, with the remedy
// where it is not there. It looks and changes nothing; what only a driver can tell, such as whether a sandbox can be made, app adds.
package doctor

import "fmt"

// State is how well a machine gives a thing.
type State string

const (
	OK      State = "ok"
	Warning State = "warning" // a node works, and does not do all that it could
	Missing State = "missing" // a node does not start, or soon stops
)

// Finding is one thing that was looked at.
type Finding struct {
	Name   string `json:"name"`
	State  State  `json:"state"`
	Detail string `json:"detail"`           // what there is
	Remedy string `json:"remedy,omitempty"` // how to get more; "" when all is well
}

// Good is a finding of a thing that is as it shall be.
func Good(name, detail string, args ...any) Finding {
	return Finding{Name: name, State: OK, Detail: fmt.Sprintf(detail, args...)}
}

// Lacking is a finding of a thing that is not.
func Lacking(s State, name, remedy, detail string, args ...any) Finding {
	return Finding{Name: name, State: s, Detail: fmt.Sprintf(detail, args...), Remedy: remedy}
}

// Healthy says whether everything is there that a node needs.
func Healthy(all []Finding) bool {
	for _, f := range all {
		if f.State == Missing {
			return false
		}
	}
	return true
}
