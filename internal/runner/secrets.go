package runner

import (
	"log/slog"
	"regexp"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// Secrets are what the command of one sandbox may know and nobody else. They stand apart from the rest of a Spec, behind a pointer,
// so that whoever prints, logs, records or encodes a Spec does not tell them: all that shows is that there are some.
type Secrets struct {
	Env   []string     // KEY=value, in the place of those in Spec.Env; nothing in them is expanded
	Files []SecretFile // for runners that have a file system of their own
}

// SecretFile is a file in function.SecretsDir that the command's user can read, and nobody can write.
type SecretFile struct {
	Name string // without a slash
	Text []byte
}

// redacted is what a Secrets looks like to all but a runner.
const redacted = "[secrets]"

// String implements fmt.Stringer; see Secrets.
func (*Secrets) String() string { return redacted }

// GoString implements fmt.GoStringer.
func (*Secrets) GoString() string { return redacted }

// MarshalText implements encoding.TextMarshaler, which encoding/json looks for too.
func (*Secrets) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue implements slog.LogValuer.
func (*Secrets) LogValue() slog.Value { return slog.StringValue(redacted) }

// SecretFiles are the files of s.Secrets.
func (s *Spec) SecretFiles() []SecretFile {
	if s.Secrets == nil {
		return nil
	}
	return s.Secrets.Files
}

var plainFile = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)

func (s *Spec) checkSecrets() error {
	for _, f := range s.SecretFiles() {
		if !plainFile.MatchString(f.Name) {
			return fault.New(fault.Invalid, "%q of function %s is no name for a file in %s", f.Name, s.Function, function.SecretsDir)
		}
	}
	return nil
}

// WithoutFiles refuses what a runner without file systems of its own cannot give: on the host's, a secret would stay and others would see it.
func (s *Spec) WithoutFiles(runner string) error {
	if len(s.SecretFiles()) == 0 {
		return nil
	}
	return fault.New(fault.Unavailable, "function %s takes secrets as files, which the runner %s cannot give", s.Function, runner).
		WithHint("take them as variables (env), or let it run by the runner native")
}
