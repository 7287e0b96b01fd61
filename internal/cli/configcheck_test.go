package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/config"
)

// told is what a command says in a directory, with a bare environment but for what is given.
func told(t *testing.T, dir string, environment []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	path, err := exec.LookPath("dalamb")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience) // a node that starts in spite of all would stay
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	var out, complaint bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &complaint
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GORACE=atexit_sleep_ms=0"}, environment...)
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), complaint.String(), cmd.ProcessState.ExitCode()
}

// complaint takes apart what a start was refused with.
func complaint(t *testing.T, stderr string) (what, hint string) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	what, is := strings.CutPrefix(lines[0], "dalamb: ")
	if !is || len(lines) < 2 {
		t.Fatalf("up said\n%s\nwant what is wrong, and a hint", stderr)
	}
	return what, strings.TrimPrefix(lines[len(lines)-1], "hint: ")
}

// badValues are one for each setting that does not take any text.
func badValues() map[string]string {
	return map[string]string{
		"data": "~/dalamb", "eventlog": "nats://h:1", "gateway": "8080", "control": "127.0.0.1", "drain": "soon", "dns": "53",
		"log.level": "loud", "log.format": "xml", "limits.event": "1Xi", "limits.batch": "x", "limits.request": "1", "limits.bodies": "-1", "limits.upload": "x",
		"limits.response": "1", "limits.held": "x", "limits.cache": "1", "limits.instances": "0", "sandbox.ids": "1", "sandbox.spares": "-1", "runner": "''",
		"tls.cert": "~/cert", "tls.key": "~/key", "tls.clients": "~/clients", "tls.redirect": "80", "tls.insecure": "maybe",
		"acme.domains": "[localhost]", "acme.directory": "http://acme", "acme.ca": "~/ca", "acme.email": `"a\nb"`,
		"proxies.trusted": "[10]", "proxies.header": "via", "otlp.endpoint": "ftp://x", "otlp.protocol": "carrier", "otlp.headers": "~/headers", "otlp.traces": "2", "otlp.sample": "2",
		"otlp.metrics": "2", "otlp.interval": "0s", "otlp.ca": "~/ca", "otlp.cert": "~/cert", "otlp.key": "~/key",
		"health.window": "0s", "health.store": "1", "health.queue": "2:1", "health.errors": "1:2", "health.response": "x",
		"audit.checkpoints": "~/checkpoints", "audit.every": "0s", "audit.access": "~/access", "audit.known-hosts": "~/known-hosts", "logs.ship": "['ftp://one', 'stdout:?format=xml']",
		"build.parallel": "0", "build.memory": "1", "build.disk": "1", "build.cache": "x", "build.pids": "1", "build.env": "['1=2']", "build.allow": "[nowhere]", "build.tools": "[tools]", "build.require": "luck",
		"kubernetes.url": "http://h", "kubernetes.account": "~/account", "secrets.key": "~/key", "secrets.passphrase": "~/passphrase", "secrets.kms": "~/kms",
		"registries": "['https://a.example/path', 'https://b.example?x=y']", "redact": "['a b']", "aws.runtimes": "[python]", "callbacks.allow": "[10]",
		"signin.issuer": "http://id", "signin.secret": "~/secret", "signin.origin": "http://h", "signin.groups": "[crew=captain]",
	}
}

func TestAStartRefusesWhatACheckOfTheConfigurationTells(t *testing.T) {
	dir := t.TempDir()
	text := ""
	bad := badValues()
	for _, s := range config.Settings() {
		value, is := bad[s.Key]
		if takesAll := []string{"audit.except", "signin.client", "signin.claim", "signin.scopes"}; is == slices.Contains(takesAll, s.Key) {
			t.Errorf("setting %s: is there a value that is wrong?", s.Key)
		}
		if is {
			text += s.Key + ": " + value + "\n"
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "node.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, _, code := told(t, dir, nil, "config", "check", "node.yaml", "-o", "json")
	var mistakes []struct {
		Where, Setting, Message, Hint string
		Warning                       bool
	}
	if err := json.Unmarshal([]byte(out), &mistakes); err != nil || code != 2 {
		t.Fatalf("config check = %d, %v\n%s", code, err, out)
	}
	var lines []string
	times := map[string]int{}
	for _, m := range mistakes {
		if !m.Warning {
			lines = append(lines, fmt.Sprintf("%s: %s %s", m.Where, m.Setting, m.Message))
			times[m.Setting]++
		}
	}
	for key := range bad {
		// What could not be read is no second mistake where it is compared.
		if want := map[string]int{"logs.ship": 2, "registries": 2}[key]; times[key] < max(1, want) {
			t.Errorf("setting %s has %d mistakes, want %d at least", key, times[key], max(1, want))
		}
	}
	_, stderr, code := told(t, dir, nil, "up", "--config", "node.yaml")
	what, hint := complaint(t, stderr)
	if code != 2 || what != strings.Join(lines, "; ") || hint != mistakes[0].Hint {
		t.Errorf("up = %d\n%s\nhint %s\nwant what config check says:\n%s\nhint %s", code, what, hint, strings.Join(lines, "; "), mistakes[0].Hint)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 1 {
		t.Errorf("in the directory are %q, want the file alone", left)
	}
}

// What is found in files, and on the machine, is the same too.
func TestAStartRefusesWhatACheckFindsOutsideOfTheFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "words"), []byte("no PEM and no header\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	quiet := []string{"DALAMB_GATEWAY=127.0.0.1:0", "DALAMB_CONTROL_LISTEN=127.0.0.1:0", "DALAMB_RUNNER=process"}
	for name, c := range map[string]struct{ text, want string }{
		"no such runner":           {"runner: nativ", `runner cannot be taken: there is no runner "nativ"`},
		"no such OCI runtime":      {"runner: oci:youki", `"youki" is not an OCI runtime`},
		"no ids":                   {"runner: native\nsandbox.ids: 0:65536", "sandbox.ids "},
		"plain HTTP for others":    {"gateway: 0.0.0.0:0", "node.yaml:1:10: gateway would speak plain HTTP to other machines at 0.0.0.0:0"},
		"plain HTTP on both":       {"gateway: :0\ncontrol: :0", "control would speak plain HTTP"},
		"an address of another":    {"gateway: 192.0.2.1:80\ntls.insecure: true", "gateway cannot be taken: the gateway listener cannot have 192.0.2.1:80"},
		"checkpoints in the data":  {"audit.checkpoints: dalamb-data/checkpoints", "is in the data directory, where who changes the log can change it too"},
		"a home directory":         {"data: ~/dalamb", "data is ~/dalamb: a shell makes a home directory of a tilde, and a node does not"},
		"no header fields":         {"otlp.headers: words", "otlp.headers cannot be taken: line 1 of words is no header field"},
		"no authority":             {"otlp.ca: words", "otlp.ca cannot be taken: words has no certificate"},
		"no certificate":           {"tls.cert: words\ntls.key: words", "tls.cert words and words are no certificate and its key"},
		"no authority of Kafka":    {"eventlog: 'kafka://127.0.0.1:1?ca=words'", "eventlog cannot be taken: ca: words holds no certificate in PEM"},
		"no authority of a sink":   {"logs.ship: ['https://l.example?ca=words']", "logs.ship cannot be taken: "},
		"a passphrase of no key":   {"secrets.key: words", "secrets.key cannot be taken: "},
		"the second sink is wrong": {"logs.ship: ['stdout:', 'ftp://x']", "node.yaml:1:24: logs.ship has an item that is not"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(filepath.Join(dir, "node.yaml"), []byte(c.text+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			var environment []string
			for _, v := range quiet {
				key := map[string]string{"DALAMB_GATEWAY": "gateway:", "DALAMB_CONTROL_LISTEN": "control:", "DALAMB_RUNNER": "runner:"}[v[:strings.IndexByte(v, '=')]]
				if !strings.Contains("\n"+c.text, "\n"+key) {
					environment = append(environment, v)
				}
			}
			out, _, code := told(t, dir, environment, "config", "check", "node.yaml")
			if code != 2 || !strings.Contains(out, c.want) {
				t.Errorf("config check = %d\n%s\nwant %q in it", code, out, c.want)
			}
			_, stderr, code := told(t, dir, environment, "up", "--config", "node.yaml")
			what, hint := complaint(t, stderr)
			for one := range strings.SplitSeq(what, "; node.yaml") {
				if code == 0 || !strings.Contains(out, one) || !strings.Contains(out, "  hint: "+hint+"\n") {
					t.Errorf("up = %d\n%s\nwant what config check says:\n%s", code, stderr, out)
				}
			}
		})
	}
}
