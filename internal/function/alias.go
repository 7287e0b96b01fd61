package function

import (
	"hash/fnv"
	"regexp"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
)

// Alias is a name for a primary version, with weights for others during a roll-out.
type Alias struct {
	Name    string      `json:"name"`
	Primary int         `json:"primary"`
	Weights map[int]int `json:"weights,omitempty"` // version -> parts of 100; the rest is the primary's
}

// MaxAlias is how long an alias's name is at most.
const MaxAlias = 127

// A number would be taken for a version, so no alias begins with a digit.
var validAlias = regexp.MustCompile(`^[a-z]([-a-z0-9]*[a-z0-9])?(/[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

// CheckAlias says what is wrong with a name for an alias: live, or preview/feature-x.
func CheckAlias(name string) error {
	if len(name) <= MaxAlias && validAlias.MatchString(name) {
		return nil
	}
	return fault.New(fault.Invalid, "%q is no name for an alias", fault.Clip(name)).
		WithHint("small letters, digits and inner dashes, a letter first; in parts with a slash between them, such as preview/feature-x; at most %d characters", MaxAlias)
}

// Above says that one alias's name is a directory of the other's, as preview is of preview/feature-x. An alias's URL ends where its
// function's own path begins, so that a function cannot have both.
func Above(a, b string) bool { return strings.HasPrefix(b, a+"/") || strings.HasPrefix(a, b+"/") }

// Share is how many parts of 100 a version has of the alias.
func (a *Alias) Share(version int) int {
	if version != a.Primary {
		return a.Weights[version]
	}
	rest := 100
	for n, parts := range a.Weights {
		if n != a.Primary {
			rest -= parts
		}
	}
	return rest
}

// Versions lists the versions that the alias names, the primary first.
func (a *Alias) Versions() []int {
	ns := []int{a.Primary}
	for n := range a.Weights {
		if n != a.Primary {
			ns = append(ns, n)
		}
	}
	return ns
}

// Shared says that the alias has more than one version with a share.
func (a *Alias) Shared() bool { return a.Share(a.Primary) < 100 }

// Pick is the version for a ticket. Each version throws as many dice as it has parts, all of them loaded by the ticket, and the
// highest throw wins (rendezvous hashing): a version whose share grows keeps every ticket that it had, wherever the others'
// shares go, and where the primary moves between the versions nothing changes.
func (a *Alias) Pick(ticket uint64) int {
	if len(a.Weights) == 0 {
		return a.Primary
	}
	picked, highest := a.Primary, uint64(0)
	for _, n := range a.Versions() {
		for i := range a.Share(n) {
			throw := mix(ticket ^ mix(uint64(n)<<8|uint64(i)))
			if throw > highest || throw == highest && n > picked {
				picked, highest = n, throw
			}
		}
	}
	return picked
}

// Ticket is what decides for a key which version of a function it meets: the same on every node, today and tomorrow.
func Ticket(function, key string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(function)) // a hash takes everything
	h.Write([]byte{0})
	h.Write([]byte(key))
	return mix(h.Sum64())
}

// mix is the output function of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
