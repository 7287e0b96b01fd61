package function

import (
	"fmt"
	"regexp"
	"slices"
)

// SecretsDir is where a function finds the secrets that it takes as files.
const SecretsDir = "/run/secrets"

// Secret says how a function takes a secret: as a variable, or else as a file.
type Secret struct {
	Name string `json:"name"`
	Env  string `json:"env,omitempty"`
	File string `json:"file,omitempty"` // below SecretsDir; "" and no Env = the secret's name
}

// FileName is the name of the file below SecretsDir; "" = it is a variable.
func (s Secret) FileName() string {
	if s.File == "" && s.Env == "" {
		return s.Name
	}
	return s.File
}

// Setting says which variable a function takes a configuration value as.
type Setting struct {
	Name string `json:"name"`
	Env  string `json:"env"`
}

// MaxConfigValue is the largest configuration value, in bytes: it has to fit into a variable.
const MaxConfigValue = maxVariable

// maxTaken bounds the secrets, and the configuration values, of one function.
const maxTaken = 64

var validSecretFile = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)

// ValidValueName says whether a secret or a configuration value may have a name.
func ValidValueName(name string) bool { return len(name) <= 63 && validName.MatchString(name) }

// SecretNames lists the secrets that a function takes, or its routes need, sorted, each once.
func (s *Spec) SecretNames() []string {
	var names []string
	for _, t := range s.Secrets {
		names = append(names, t.Name)
	}
	for _, r := range s.Routes() {
		for _, name := range []string{r.Route.Auth.SecretName(), r.Route.Callback.SecretName(), r.Route.Upstream.SecretName()} {
			if name != "" {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// ConfigNames lists the configuration values that a function takes, sorted, each once.
func (s *Spec) ConfigNames() []string {
	var names []string
	for _, t := range s.Config {
		names = append(names, t.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func secretsMember() member[Declared] {
	return field("secrets", "Secrets that it is given (dalamb secret set), each as a variable (env), or as a file below /run/secrets that the function alone can read (file; without either: a file with the secret's name). Setting one anew replaces the instances; see docs/secrets.md.",
		list(secretValue(), none[Secret]), func(d *Declared) *[]Secret { return &d.Spec.Secrets })
}

func configMember() member[Declared] {
	return field("config", "Configuration values that it is given (dalamb config set), each as a variable. Setting one anew replaces the instances; see docs/secrets.md.",
		list(settingValue(), none[Setting]), func(d *Declared) *[]Setting { return &d.Spec.Config })
}

func secretValue() value[Secret] {
	return object([]string{"name"},
		field("name", "The secret's name.", text[string](), func(s *Secret) *string { return &s.Name }),
		field("env", "The variable.", text[string](), func(s *Secret) *string { return &s.Env }),
		field("file", "The file's name, below /run/secrets.", text[string](), func(s *Secret) *string { return &s.File }),
	)
}

func settingValue() value[Setting] {
	return object([]string{"name", "env"},
		field("name", "The configuration value's name.", text[string](), func(s *Setting) *string { return &s.Name }),
		field("env", "The variable.", text[string](), func(s *Setting) *string { return &s.Env }),
	)
}

// values checks what a function takes from outside: each variable and each file has one source.
func (c *checker) values(s *Spec) {
	if n := max(len(s.Secrets), len(s.Config)); n > maxTaken {
		c.add("secrets", fmt.Sprintf("at most %d secrets and %d configuration values", maxTaken, maxTaken), "%d are too many for one function", n)
		return
	}
	variables, files := map[string]string{}, map[string]string{}
	for name := range s.Env {
		variables[name] = "env." + name
	}
	for i, t := range s.Secrets {
		at := fmt.Sprintf("secrets[%d]", i)
		c.name(at+".name", t.Name, "secret")
		if t.Env != "" && t.File != "" {
			c.add(at, "a variable or a file; for both, name the secret twice", "has env and file")
		}
		if t.Env != "" {
			c.variable(at+".env", t.Env, s.Entry.Type, variables)
			continue
		}
		if t.File != "" && !validSecretFile.MatchString(t.File) {
			c.add(at+".file", "letters, digits, dots, dashes and underscores, no dot or dash first; it is put into "+SecretsDir, "%q is no name for a file", clip(t.File))
		}
		once(c, files, at+".file", t.FileName(), "file "+SecretsDir+"/"+t.FileName())
	}
	for i, t := range s.Config {
		at := fmt.Sprintf("config[%d]", i)
		c.name(at+".name", t.Name, "configuration value")
		c.variable(at+".env", t.Env, s.Entry.Type, variables)
	}
}

// variable checks the name of a variable that is filled from outside.
func (c *checker) variable(field, name string, entry EntryType, taken map[string]string) {
	switch {
	case !validEnv.MatchString(name):
		c.add(field, "letters, digits and underscores, no digit first", "%q is no name for a variable", clip(name))
	case envReserved(name, entry):
		c.add(field, "choose another", "dalamb sets %s itself", name)
	default:
		once(c, taken, field, name, "variable "+name)
	}
}

func once(c *checker, taken map[string]string, field, name, what string) {
	if first, twice := taken[name]; twice {
		c.add(field, "choose another", "%s is %s already", what, first)
		return
	}
	taken[name] = field
}
