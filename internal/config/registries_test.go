package config

import (
	"reflect"
	"strings"
	"testing"
)

func TestRegistries(t *testing.T) {
	n, err := Load(Source{Set: map[string]string{"registries": "http://127.0.0.1:5000, https://docker.io?mirror=mirror.example:5000,https://ghcr.io?user=me&password-file=/run/ghcr"}})
	if err != nil {
		t.Fatal(err)
	}
	want := []Registry{{Host: "127.0.0.1:5000", Insecure: true}, {Host: "docker.io", Mirror: "mirror.example:5000"}, {Host: "ghcr.io", User: "me", PasswordFile: "/run/ghcr"}}
	if !reflect.DeepEqual(n.Registries, want) {
		t.Errorf("registries = %+v, want %+v", n.Registries, want)
	}
	again, err := parseRegistries(strings.Trim(registriesText(n.Registries), "[]"))
	if err != nil || !reflect.DeepEqual(again, want) {
		t.Errorf("written and read again = %+v, %v, want %+v", again, err, want)
	}
}

func TestRegistriesThatAreWrong(t *testing.T) {
	for text, want := range map[string]string{
		"ghcr.io":                             "has an item that is not http:// or https://",
		"ftp://ghcr.io":                       "has an item that is not",
		"https://":                            "has an item that is not",
		"https://me:word@ghcr.io":             "has a user or a password in an address",
		"https://ghcr.io/me":                  "has the registry ghcr.io with a path",
		"https://ghcr.io?user=me":             "one of user and password-file",
		"https://ghcr.io?password=word":       `has the option "password" of registry ghcr.io; allowed: mirror, user, password-file`,
		"https://ghcr.io?mirror=https://x":    "with a mirror that is not a host",
		"https://ghcr.io?user=a&user=b":       "not exactly once",
		"https://ghcr.io, http://ghcr.io":     "names the registry ghcr.io twice",
		"https://ghcr.io?mirror=m&zzz=secret": `the option "zzz"`,
	} {
		_, err := Load(Source{Set: map[string]string{"registries": text}})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "word@") || strings.Contains(err.Error(), "=word") {
			t.Errorf("registries %q: %v, want %q and no password", text, err, want)
		}
	}
}
