package runner

import (
	"net"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
)

// Caller is a Sandbox whose function can ask its node for something.
type Caller interface {
	// Calls accepts what the function connects to port 80 of the names in Spec.Calls. nil without any. Closed with the sandbox.
	Calls() net.Listener
}

// maxCalls bounds the names, which are lines of a file in the sandbox.
const maxCalls = 256

// checkCalls says what is wrong with s.Calls.
func (s *Spec) checkCalls() error {
	switch {
	case len(s.Calls) == 0:
		return nil
	case len(s.Calls) > maxCalls:
		return fault.New(fault.Invalid, "function %s calls %d hosts, more than %d", s.Function, len(s.Calls), maxCalls)
	case s.Network == "host":
		return fault.New(fault.Invalid, "function %s calls others by names of its own network, and has the network host", s.Function)
	}
	for _, name := range s.Calls {
		if name == "" || strings.ContainsFunc(name, func(r rune) bool {
			return r != '-' && r != '.' && (r < 'a' || r > 'z') && (r < '0' || r > '9')
		}) {
			return fault.New(fault.Invalid, "function %s calls %q, which is no name of a host", s.Function, name)
		}
	}
	return nil
}

// WithoutCalls refuses what a runner cannot give whose functions have no network of their own: whoever is on the machine could call in
// the function's name.
func (s *Spec) WithoutCalls(runner string) error {
	if len(s.Calls) == 0 {
		return nil
	}
	return fault.New(fault.Unavailable, "function %s calls other functions, which it cannot with the runner %s", s.Function, runner).
		WithHint("run the node with a runner that isolates functions: native or oci:...")
}
