package function

import (
	"fmt"
	"slices"
)

// CallsDomain is where a function finds those that it calls, each by its name: NAME.dalamb.
const CallsDomain = ".dalamb"

// callsPort is where it finds them, on its own loopback.
const callsPort = 80

// maxCalled bounds how many functions one may call.
const maxCalled = 64

func callsMember() member[Declared] {
	return field("calls", "Functions that this one may call: each is at http://NAME.dalamb inside its sandbox; see docs/calls.md. Default: none.",
		list(text[string](), none[string]), func(d *Declared) *[]string { return &d.Spec.Calls })
}

// calls checks whom a function may call.
func (c *checker) calls(s *Spec) {
	switch {
	case len(s.Calls) == 0:
		return
	case len(s.Calls) > maxCalled:
		c.add("calls", "", "%d functions are more than %d", len(s.Calls), maxCalled)
		return
	case s.Network == NetworkHost:
		c.add("calls", "network: none or egress", "the names of functions are of a function's own network, and this one has network: host")
	case s.Entry.Type == EntryHTTP && s.Entry.Port == callsPort:
		c.add("entry.port", "choose another port", "port %d is where the function finds those that it calls", callsPort)
	}
	for i, name := range s.Calls {
		at := fmt.Sprintf("calls[%d]", i)
		c.name(at, name, "function")
		if slices.Index(s.Calls, name) < i {
			c.add(at, "", "%q is there twice", clip(name))
		}
	}
}

// Called is the function that a Spec calls by a name; "" = it may not.
func (s *Spec) Called(name string) string {
	for _, full := range s.Calls {
		if Plain(Environment(s.Name), full) == name {
			return full
		}
	}
	return ""
}

// CallHosts are the hosts at which a function finds those that it calls.
func (s *Spec) CallHosts() []string {
	hosts := make([]string, len(s.Calls))
	for i, full := range s.Calls {
		hosts[i] = Plain(Environment(s.Name), full) + CallsDomain
	}
	return hosts
}
