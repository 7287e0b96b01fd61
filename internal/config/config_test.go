package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

func file(t testing.TB, text string) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), "node.yaml")
	if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDefaultIsValidAndComplete(t *testing.T) {
	n, err := Load(Source{})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(n, Default()) {
		t.Errorf("Load of nothing = %+v, want the defaults %+v", n, Default())
	}
}

func TestExampleFileIsTheDefaults(t *testing.T) {
	n, err := Load(Source{File: file(t, Example())})
	if err != nil {
		t.Fatalf("Load(Example()) = %v\n%s", err, Example())
	}
	n.Sources = nil
	if !reflect.DeepEqual(n, Default()) {
		t.Errorf("Load(Example()) = %+v, want %+v", n, Default())
	}
}

func TestFlagsAreStrongerThanTheFile(t *testing.T) {
	p := file(t, "gateway: 0.0.0.0:80\ndrain: 1m\nlimits:\n  event: 512Ki\n  instances: 7\nlog: {level: debug}\nredact: [X-Session, x-csrf]\n")
	n, err := Load(Source{File: p, Set: map[string]string{"drain": "5s", "data": "/var/lib/dalamb", "log.format": "json"}})
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Gateway, want.Data, want.Drain = "0.0.0.0:80", "/var/lib/dalamb", function.Duration(5*time.Second)
	want.Limits.Event, want.Limits.Instances = 512<<10, 7
	want.Log = Log{Level: "debug", Format: "json"}
	want.Redact = []string{"x-session", "x-csrf"}
	want.Sources = []string{p, "--data", "--drain", "--log-format"}
	if !reflect.DeepEqual(n, want) {
		t.Errorf("Load = %+v\nwant   %+v", n, want)
	}
}

func TestEmptyFilesSayNothing(t *testing.T) {
	for _, text := range []string{"", "\n", "# only a comment\n", "---\n", "{}"} {
		if _, err := Load(Source{File: file(t, text)}); err != nil {
			t.Errorf("Load(%q) = %v, want the defaults", text, err)
		}
	}
}

func TestLoadNamesWhatIsWrong(t *testing.T) {
	tests := []struct {
		name, text string
		set        map[string]string
		want       string // in the message
		hint       string // in the hint
	}{
		{"unknown setting", "gatway: 127.0.0.1:1\n", nil, ":1:1: gatway is no setting", "gateway"},
		{"unknown setting in a section", "limits:\n  evnt: 1Mi\n", nil, ":2:3: limits.evnt is no setting", "limits.event"},
		{"twice", "data: a\ndata: b\n", nil, ":2:1: data is given twice", "docs/reference/configuration.md"},
		{"no size", "limits:\n  event: big\n", nil, `:2:10: limits.event "big" is not a size`, "limits.event takes: size"},
		{"size out of bounds", "limits:\n  event: 10\n", nil, ":2:10: limits.event is 10; allowed: 1Ki to 16Mi", ""},
		{"batch below event", "limits: {batch: 4Ki}\n", nil, ":1:17: limits.batch is 4Ki, less than limits.event, 1Mi", ""},
		{"held below one request", "limits: {held: 1Mi}\n", nil, "limits.held is 1Mi, less than one request may have, 8Mi", ""},
		{"no duration", "drain: soon\n", nil, `:1:8: drain "soon" is not a duration`, "drain takes: duration"},
		{"drain for a day", "drain: 1d\n", nil, "drain is 1d; allowed: 0s to 1h", ""},
		{"no number", "limits: {instances: many}\n", nil, `"many" is not a whole number`, ""},
		{"no instances", "limits: {instances: 0}\n", nil, "limits.instances is 0; allowed: 1 to 100000", ""},
		{"address without port", "gateway: localhost\n", nil, `:1:10: gateway is "localhost", not host:port`, ""},
		{"address with a port by name", "gateway: localhost:http\n", nil, "whose port is not a number", ""},
		{"port too high", "control: :70000\n", nil, "whose port is not a number from 0 to 65535", ""},
		{"one address for two", "control: 127.0.0.1:8080\n", nil, ":1:10: control is the address of the gateway too", ""},
		{"log level", "log: {level: loud}\n", nil, `log.level is "loud"; allowed: debug, info, warn, error`, ""},
		{"section as value", "log: debug\n", nil, ":1:1: log takes settings of its own: level, format", ""},
		{"value as section", "data: {a: b}\n", nil, ":1:7: data has no value that fits", "data takes: directory"},
		{"null", "data:\n", nil, "data has no value that fits", ""},
		{"ids without a count", "sandbox: {ids: '5'}\n", nil, `sandbox.ids "5" is not first:count`, "sandbox.ids takes: first:count"},
		{"ids of people", "sandbox: {ids: '1000:5000000'}\n", nil, "sandbox.ids is 1000:5000000; allowed: from 65536", ""},
		{"too few ids", "sandbox: {ids: '1000000:65536'}\n", nil, "at least 4194304 of them", ""},
		{"ids beyond the last", "sandbox: {ids: '4294900000:5000000'}\n", nil, "sandbox.ids is 4294900000:5000000; allowed", ""},
		{"list", "redact: [a b]\n", nil, `redact has "a b", which is no header name`, ""},
		{"list in list", "redact: [[a]]\n", nil, ":1:10: redact has an item that is no plain text", ""},
		{"an issuer by http", "signin: {issuer: 'http://id.example', client: a, groups: [x=admin]}\n", nil, "signin.issuer must be https", ""},
		{"an issuer for whomever", "signin: {issuer: 'https://id.example', groups: [x=admin]}\n", nil, "without signin.client", ""},
		{"an issuer for nobody", "signin: {issuer: 'https://id.example', client: a}\n", nil, "without signin.groups", ""},
		{"an origin with a path", "signin: {issuer: 'https://id.example', client: a, groups: [x=admin], origin: 'https://console.example/'}\n", nil, "signin.origin is not like", ""},
		{"an origin by http", "signin: {issuer: 'https://id.example', client: a, groups: [x=admin], origin: 'http://console.example'}\n", nil, "signin.origin must be https", ""},
		{"groups of nobody's", "signin: {groups: [x=admin]}\n", nil, "signin.issuer is not given", ""},
		{"a group without a role", "signin: {groups: [x]}\n", nil, `"x" is not GROUP=ROLE`, "signin.groups takes: list of GROUP=ROLE"},
		{"a group of senders", "signin: {issuer: 'https://id.example', client: a, groups: [X=sender]}\n", nil, `the group "X" that is "sender"; allowed: viewer, deployer, operator, admin`, ""},
		{"a group of no environment", "signin: {issuer: 'https://id.example', client: a, groups: [X=admin@]}\n", nil, `environment of the group "X" that is none: "" is no name`, ""},
		{"a group of production", "signin: {issuer: 'https://id.example', client: a, groups: [X=admin@production]}\n", nil, `environment of the group "X" that is none`, ""},
		{"a group of senders of an environment", "signin: {issuer: 'https://id.example', client: a, groups: [X=sender@acme]}\n", nil, `the group "X" that is "sender"`, ""},
		{"alias", "data: &a x\nrunner: *a\n", nil, ":2:9: runner is an alias", ""},
		{"not a mapping", "- data\n", nil, ":1:1: is not a mapping", ""},
		{"two documents", "data: a\n---\ndata: b\n", nil, "has a second YAML document", ""},
		{"no YAML", "data: [\n", nil, "node.yaml:1:8: not valid YAML: the text ends where a value is expected", "bracket"},
		{"a tab", "data: x\ndrain:\n\tgrace: 1s\n", nil, "node.yaml:3:1: not valid YAML: a tab indents this line", "spaces"},
		{"no YAML after it", "data: x\n---\na: 'b\n", nil, "node.yaml:3:4: not valid YAML: the quote that opens here is not closed", ""},
		{"number as a key", "1: a\n", nil, `"1" is not the name of a setting`, ""},
		{"flag", "", map[string]string{"drain": "x"}, `--drain: drain "x" is not a duration`, ""},
		{"flag by its rule", "", map[string]string{"runner": " "}, "--runner: runner may not be empty", ""},
		{"unknown flag", "", map[string]string{"speed": "9"}, "--speed: is no setting", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n, err := Load(Source{File: file(t, tt.text), Set: tt.set})
			if n != nil || fault.KindOf(err) != fault.Invalid {
				t.Fatalf("Load = %v, %v, want Invalid", n, err)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %q, want %q in it", err, tt.want)
			}
			if hint := fault.HintOf(err); hint == "" || !strings.Contains(hint, tt.hint) {
				t.Errorf("hint = %q, want %q in it", hint, tt.hint)
			}
		})
	}
}

func TestLoadTellsEverythingAtOnce(t *testing.T) {
	_, err := Load(Source{File: file(t, "dta: a\ndrain: x\nlog: {levl: info}\n")})
	var ps Problems
	if !errors.As(err, &ps) || len(ps) != 3 {
		t.Fatalf("Load = %v, want three problems", err)
	}
}

func TestFileThatCannotBeRead(t *testing.T) {
	big := file(t, strings.Repeat("#", maxFile+1))
	for _, p := range []string{filepath.Join(t.TempDir(), "none.yaml"), t.TempDir(), big} {
		_, err := Load(Source{File: p})
		if fault.KindOf(err) != fault.Invalid || fault.HintOf(err) == "" || !strings.Contains(err.Error(), p) {
			t.Errorf("Load(%s) = %v, want Invalid that names it, with a hint", p, err)
		}
	}
}

func TestReferenceHasEverySetting(t *testing.T) {
	page := Reference()
	for _, s := range Settings() {
		if !strings.Contains(page, "| `"+s.Key+"` |") {
			t.Errorf("reference page lacks %s", s.Key)
		}
		if s.Form == "" || s.Help == "" || !strings.HasSuffix(s.Help, ".") {
			t.Errorf("%s: want a form, and a help that is a sentence; have %q, %q", s.Key, s.Form, s.Help)
		}
	}
	if !slices.ContainsFunc(strings.Split(page, "\n"), func(l string) bool {
		return strings.HasPrefix(l, "| `drain` | `--drain` | `DALAMB_DRAIN` | duration | `30s` |  |")
	}) {
		t.Errorf("reference page lacks the line of drain:\n%s", page)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(Example())
	f.Add("limits: {event: 1Mi}\n")
	f.Add("a: &x [*x]\n")
	f.Add("? [a]\n: b\n")
	f.Add("<<: {data: x}\n")
	f.Fuzz(func(t *testing.T, text string) {
		n, err := Load(Source{File: file(t, text)})
		if (n == nil) == (err == nil) {
			t.Fatalf("Load(%q) = %v, %v, want one of them", text, n, err)
		}
		if err != nil && fault.KindOf(err) != fault.Invalid {
			t.Fatalf("Load(%q) = %v of kind %v, want Invalid", text, err, fault.KindOf(err))
		}
	})
}
