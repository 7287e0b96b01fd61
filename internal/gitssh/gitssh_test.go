package gitssh

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/need"
)

// words are those that a shell makes of a command, which is how git runs it. // git(1), GIT_SSH_COMMAND
func words(t *testing.T, command string) []string {
	t.Helper()
	out, err := exec.Command("/bin/sh", "-c", "printf '%s\\n' "+command).Output()
	if err != nil {
		t.Fatalf("sh: %v", err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
}

func TestAShellSplitsItIntoTheWordsThatWereMeant(t *testing.T) {
	for _, c := range []struct{ key, want string }{
		{"/n/key", `IdentityFile="/n/key"`},
		{"/n/a key", `IdentityFile="/n/a key"`},
		{"/n/it's", `IdentityFile="/n/it's"`},
		{"/n/%h", `IdentityFile="/n/%%h"`}, // else the name of the server
		{`/n/it's $(touch x) ; %h`, `IdentityFile="/n/it's $(touch x) ; %%h"`},
	} {
		got := words(t, Command(c.key, "/n/hosts", nil))
		if len(got) < 3 || !slices.Equal(got[:3], []string{"ssh", "-F", "none"}) || !slices.Contains(got, c.want) || !slices.Contains(got, `UserKnownHostsFile="/n/hosts"`) {
			t.Errorf("a key in %q: %q, want %s among them", c.key, got, c.want)
		}
	}
}

// TestSSHTakesItAsItIsMeant asks ssh itself.
func TestSSHTakesItAsItIsMeant(t *testing.T) {
	need.Program(t, "ssh")
	key, hosts := filepath.Join(t.TempDir(), "a key"), filepath.Join(t.TempDir(), "known hosts")
	ask := exec.Command("/bin/sh", "-c", Command(key, hosts, []string{"HostName=192.0.2.7"})+" -G git@git.example")
	ask.Env = append(os.Environ(), "SSH_AUTH_SOCK=/nowhere")
	out, err := ask.Output()
	if err != nil {
		t.Fatalf("ssh -G: %v", err)
	}
	said := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		said[name] += value + ";"
	}
	for name, want := range map[string]string{
		"user": "git;", "hostname": "192.0.2.7;", "identityfile": key + ";", "userknownhostsfile": hosts + ";", "globalknownhostsfile": "none;",
		"stricthostkeychecking": "true;", "identitiesonly": "yes;", "identityagent": "none;", "batchmode": "yes;", "preferredauthentications": "publickey;",
		"forwardagent": "no;", "clearallforwardings": "yes;", "permitlocalcommand": "no;", "requesttty": "false;", "connecttimeout": "20;", "serveraliveinterval": "20;",
	} {
		if said[name] != want {
			t.Errorf("ssh has %s %q, want %q", name, said[name], want)
		}
	}
}
