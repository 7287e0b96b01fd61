package runner

import (
	"strconv"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
)

// DefaultPath is the PATH of a function whose environment has none.
const DefaultPath = "/usr/local/bin:/usr/bin:/bin"

// Validate says what in s no runner can start: a mistake of the caller, not of the function.
func (s *Spec) Validate() error {
	bad := strings.IndexFunc(s.ID, func(r rune) bool {
		return r != '-' && (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
	switch {
	case s.ID == "" || len(s.ID) > 64 || bad >= 0 || s.ID[0] == '-':
		return fault.New(fault.Invalid, "sandbox id %q is not 1 to 64 of a-z, 0-9 and -", s.ID)
	case len(s.Command) == 0 || s.Command[0] == "":
		return fault.New(fault.Invalid, "function %s has no command", s.Function)
	case s.Network != "none" && s.Network != "egress" && s.Network != "host":
		return fault.New(fault.Invalid, "network %q of function %s is none of none, egress and host", s.Network, s.Function)
	case s.Network != "egress" && len(s.Allow) > 0:
		return fault.New(fault.Invalid, "function %s has destinations, and the network %q", s.Function, s.Network)
	}
	return s.checkRoot()
}

// Places are what a runner chose for the texts ListenAddr, PortNumber and TaskRoot.
type Places struct {
	Listen string
	Port   int
	Task   string
}

// Expand returns command and environment with the places filled in, and PATH added where it is missing.
func (s *Spec) Expand(p Places) (command, env []string) {
	r := strings.NewReplacer(ListenAddr, p.Listen, PortNumber, strconv.Itoa(p.Port), TaskRoot, p.Task)
	for _, c := range s.Command {
		command = append(command, r.Replace(c))
	}
	path := false
	for _, e := range s.Env {
		path = path || strings.HasPrefix(e, "PATH=")
		env = append(env, r.Replace(e))
	}
	if !path {
		env = append(env, "PATH="+DefaultPath)
	}
	return command, env
}
