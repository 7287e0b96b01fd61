package git

import (
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
)

func TestWhichGitCanBeToldAddresses(t *testing.T) {
	for said, want := range map[string]bool{
		"git version 2.39.5\n": true, "git version 2.37.0": true, "git version 2.36.9": false, "git version 1.99.0": false, "git version 3.0": true,
		"git version 2.39.5 (Apple Git-154)": true, "hub version 2.39": false, "": false, "git version 2.99999999999999999999": false,
	} {
		if got := PinsAddresses(said); got != want {
			t.Errorf("PinsAddresses(%q) = %v, want %v", said, got, want)
		}
	}
}

// TestAnOldGitIsNotSentToANamedServer has a git that would ask for the address again.
func TestAnOldGitIsNotSentToANamedServer(t *testing.T) {
	h := newHost(t)
	h.server.program.path = filepath.Join(t.TempDir(), "git")
	if err := os.WriteFile(h.server.program.path, []byte("#!/bin/sh\necho git version 2.30.2\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for address, refused := range map[string]bool{"https://git.example/acme/shop": true, "https://192.0.2.7/acme/shop": false, "http://[2001:db8::7]:81/acme/shop": false} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		err = h.server.checkPin(t.Context(), u)
		if refused && (fault.KindOf(err) != fault.Denied || !strings.Contains(err.Error(), "git version 2.30.2") || !strings.Contains(fault.HintOf(err), "2.37")) || !refused && err != nil {
			t.Errorf("checkPin(%s) = %v (%s), refused is to be %v", address, err, fault.HintOf(err), refused)
		}
	}
}

func TestSSHIsToldTheAddressAndTheName(t *testing.T) {
	for address, want := range map[string][]string{
		"ssh://git@git.example/acme/shop":      {"HostName=192.0.2.7", "HostKeyAlias=git.example"},
		"ssh://git@git.example:22/acme/shop":   {"HostName=192.0.2.7", "HostKeyAlias=git.example"},
		"ssh://git@git.example:2222/acme/shop": {"HostName=192.0.2.7", "HostKeyAlias=[git.example]:2222"},
		"ssh://git@192.0.2.7:2222/acme/shop":   nil,
	} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if got := sshPin(u, "192.0.2.7"); !slices.Equal(got, want) {
			t.Errorf("sshPin(%s) = %q, want %q", address, got, want)
		}
	}
}
