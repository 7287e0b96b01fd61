package runner

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestASpecDoesNotTellItsSecrets(t *testing.T) {
	const value = "hunter2-Zx81"
	s := Spec{ID: "a", Secrets: &Secrets{Env: []string{"A=" + value}, Files: []SecretFile{{Name: "a", Text: []byte(value)}}}}
	hidden := struct{ s Spec }{s} // fmt calls no methods in here
	var logged bytes.Buffer
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "spec", s, "secrets", s.Secrets)
	slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "spec", s, "secrets", s.Secrets)
	s.Stdout, s.Stderr, s.Feed, s.Hold = nil, nil, nil, nil
	encoded, err := json.Marshal(s.Secrets)
	if err != nil {
		t.Fatal(err)
	}
	decimal := strings.Trim(fmt.Sprint([]byte(value)), "[]") // as %v writes bytes
	for _, said := range []string{
		fmt.Sprint(s), fmt.Sprintf("%+v", s), fmt.Sprintf("%#v", s), fmt.Sprintf("%+v", &s), fmt.Sprintf("%+v", hidden), fmt.Sprintf("%#v", hidden),
		fmt.Sprintf("%v %+v %#v %s %q %x", s.Secrets, s.Secrets, s.Secrets, s.Secrets, s.Secrets, s.Secrets), string(encoded), logged.String(),
	} {
		if strings.Contains(said, value) || strings.Contains(said, decimal) {
			t.Errorf("it is told: %s", said)
		}
	}
}

func TestSecretsAreNotExpanded(t *testing.T) {
	s := Spec{Env: []string{"P=" + PortNumber, "S=other"}, Secrets: &Secrets{Env: []string{"S=" + PortNumber}}}
	_, env := s.Expand(Places{Port: 7})
	if got := strings.Join(env, " "); got != "S="+PortNumber+" P=7 PATH="+DefaultPath {
		t.Errorf("Expand = %s", got)
	}
}

func TestSpecRefusesFilesElsewhere(t *testing.T) {
	for _, name := range []string{"", ".", "..", "a/b", "../a", "/a", "a\x00b", "-a", ".a", "a b"} {
		s := Spec{ID: "a", Command: []string{"a"}, Network: "none", Base: "host", Secrets: &Secrets{Files: []SecretFile{{Name: name}}}}
		if err := s.Validate(); err == nil {
			t.Errorf("Validate with the file %q = nil, want an error", name)
		}
	}
}
