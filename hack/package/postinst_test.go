package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A node that waits for its log, or does not start, is no reason for dpkg to wait or to fail.
func TestThePackageIsConfiguredWhateverTheNodeDoes(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "deploy/debian/postinst"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, from string // the version before; "" = none
		policy     string // what policy-rc.d exits with
		enabled    string // what is-enabled exits with
		want       string // what systemd is asked for last
	}{
		{"installed", "", "0", "0", "--system --no-block start dalamb.service"},
		{"installed where it was disabled", "", "0", "1", "--system --quiet is-enabled dalamb.service"},
		{"upgraded", "1.0", "104", "0", "--system --no-block try-restart dalamb.service"},
		{"where nothing may start", "1.0", "101", "0", "--system daemon-reload"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			program := func(name, body string) string {
				p := filepath.Join(dir, name)
				if err := os.WriteFile(p, []byte("#!/bin/sh\n"+body+"\n"), 0o700); err != nil {
					t.Fatal(err)
				}
				return p
			}
			for _, name := range []string{"getent", "adduser", "install", "deb-systemd-helper"} {
				program(name, "exit 0")
			}
			asked := filepath.Join(dir, "asked")
			systemctl := `echo "$*" >>` + asked + `; case "$*" in *is-enabled*) exit ` + c.enabled + `;; esac; exit 1`
			program("systemctl", systemctl)
			program("deb-systemd-invoke", systemctl)
			program("policy-rc.d", "exit "+c.policy)
			script := strings.ReplaceAll(string(text), "/run/systemd/system", dir)
			run := exec.CommandContext(t.Context(), "/bin/sh", "-c", script, "postinst", "configure", c.from)
			run.Env = []string{"PATH=" + dir}
			if out, err := run.CombinedOutput(); err != nil {
				t.Errorf("postinst: %v\n%s", err, out)
			}
			got, err := os.ReadFile(asked)
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSpace(string(got)), "\n")
			if last := lines[len(lines)-1]; last != c.want {
				t.Errorf("systemd was asked for %q, want %q last", lines, c.want)
			}
		})
	}
}
