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
	if err := s.checkSecrets(); err != nil {
		return err
	}
	if err := s.checkMounts(); err != nil {
		return err
	}
	if err := s.checkCalls(); err != nil {
		return err
	}
	return s.checkRoot()
}

// Places are what a runner chose for the texts ListenAddr, PortNumber and TaskRoot.
type Places struct {
	Listen string
	Port   int
	Task   string
}

// Expand returns command and environment with the places filled in, secrets in the place of
// variables of the same name, and PATH where it is missing.
func (s *Spec) Expand(p Places) (command, env []string) {
	r := strings.NewReplacer(ListenAddr, p.Listen, PortNumber, strconv.Itoa(p.Port), TaskRoot, p.Task)
	for _, c := range s.Command {
		command = append(command, r.Replace(c))
	}
	if s.Secrets != nil {
		env = append(env, s.Secrets.Env...)
	}
	taken := map[string]bool{}
	for _, e := range env {
		taken[variable(e)] = true
	}
	for _, e := range append(s.Env[:len(s.Env):len(s.Env)], "PATH="+DefaultPath) {
		if name := variable(e); !taken[name] {
			taken[name] = true
			env = append(env, r.Replace(e))
		}
	}
	return command, env
}

// variable is the name of one in an environment.
func variable(e string) string {
	name, _, _ := strings.Cut(e, "=")
	return name
}
