package function

import (
	"fmt"
	"strings"
	"testing"
)

const taking = "name: pay\nentry: {type: http, command: [./pay]}\n"

func TestManifestTakesSecretsAndConfig(t *testing.T) {
	m, err := ParseManifest("dalamb.yaml", []byte(taking+`secrets:
  - {name: db-password, env: DB_PASSWORD}
  - {name: tls-key}
  - {name: tls-key, file: key.pem}
config:
  - {name: log-level, env: LOG_LEVEL}
`))
	if err != nil {
		t.Fatal(err)
	}
	s := m.Functions[0].Spec
	var files []string
	for _, one := range s.Secrets {
		files = append(files, one.FileName())
	}
	if got := strings.Join(files, ","); got != ",tls-key,key.pem" {
		t.Errorf("files = %q", got)
	}
	if got := fmt.Sprint(s.SecretNames(), s.ConfigNames()); got != "[db-password tls-key] [log-level]" {
		t.Errorf("names = %s", got)
	}
}

func TestManifestRefusesSecretsAndConfigThatCannotBeGiven(t *testing.T) {
	for text, want := range map[string]string{
		"secrets: [{env: A}]":                                       "secrets[0].name: a secret needs a name",
		"secrets: [{name: DB, env: A}]":                             `"DB" is no name for a secret`,
		"secrets: [{name: db, env: 1A}]":                            `secrets[0].env: "1A" is no name for a variable`,
		"secrets: [{name: db, env: PORT}]":                          "secrets[0].env: dalamb sets PORT itself",
		"secrets: [{name: db, env: A, file: a}]":                    "secrets[0]: has env and file",
		"secrets: [{name: db, file: ../a}]":                         `secrets[0].file: "../a" is no name for a file`,
		"secrets: [{name: db, file: .}]":                            `secrets[0].file: "." is no name for a file`,
		"secrets: [{name: db, file: a/b}]":                          `"a/b" is no name for a file`,
		"secrets: [{name: a}, {name: b, file: a}]":                  "file /run/secrets/a is secrets[0].file already",
		"secrets: [{name: a, env: X}, {name: b, env: X}]":           "variable X is secrets[0].env already",
		"env: {X: 1}\nsecrets: [{name: a, env: X}]":                 "variable X is env.X already",
		"secrets: [{name: a, env: X}]\nconfig: [{name: a, env: X}]": "config[0].env: variable X is secrets[0].env already",
		"config: [{name: a}]":                                       `config[0].env: "" is no name for a variable`,
		"config: [{name: -, env: A}]":                               `"-" is no name for a configuration value`,
		"config: {A: a}":                                            "config: is a mapping",
		"secrets: [{name: db, value: 1}]":                           "secrets[0].value: unknown field",
		"secrets: [" + strings.Repeat("{name: a},", 65) + "]":       "65 are too many for one function",
	} {
		_, err := ParseManifest("dalamb.yaml", []byte(taking+text+"\n"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseManifest(%s) = %v, want %q", text, err, want)
		}
	}
}
