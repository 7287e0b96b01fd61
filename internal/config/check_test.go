package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// given is an environment.
func given(variables map[string]string) func(string) string {
	return func(name string) string { return variables[name] }
}

func TestTheEnvironmentStandsBetweenTheFileAndTheFlags(t *testing.T) {
	p := file(t, "drain: 1m\nrunner: a\nlimits: {event: 512Ki}\n")
	n, err := Load(Source{
		File:        p,
		Environment: given(map[string]string{"DALAMB_DRAIN": "2m", "DALAMB_RUNNER": "b", "DALAMB_REDACT": "X-One, x-two", "DALAMB_LOG": "kafka://k:9092", "DALAMB_GATEWAY": ""}),
		Set:         map[string]string{"runner": "c"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if n.Drain.Std() != 2*time.Minute || n.Runner != "c" || n.Limits.Event != 512<<10 || n.EventLog.Place() != "kafka://k:9092" || n.Gateway != Default().Gateway {
		t.Errorf("Load = %+v, want the flag before the variable before the file", n)
	}
	if !slices.Equal(n.Redact, []string{"x-one", "x-two"}) {
		t.Errorf("redact = %q, want two names", n.Redact)
	}
	if want := []string{p, "DALAMB_LOG", "DALAMB_RUNNER", "DALAMB_DRAIN", "DALAMB_REDACT", "--runner"}; !slices.Equal(n.Sources, want) {
		t.Errorf("sources = %q, want %q", n.Sources, want)
	}
}

func TestAWrongVariableIsNamed(t *testing.T) {
	_, err := Load(Source{Environment: given(map[string]string{"DALAMB_LIMITS_EVENT": "big"})})
	if fault.KindOf(err) != fault.Invalid || !strings.HasPrefix(err.Error(), `DALAMB_LIMITS_EVENT: limits.event "big" is not a size`) {
		t.Errorf("Load = %v, want Invalid that names the variable", err)
	}
}

// Variables of other meanings have other names, or a command and a node in one environment would read each other's.
func TestEverySettingHasAVariableOfItsOwn(t *testing.T) {
	seen := map[string]string{}
	for _, taken := range otherVariables() {
		seen[taken] = "something else"
	}
	for _, s := range Settings() {
		if other := seen[s.Variable()]; other != "" || !strings.HasPrefix(s.Variable(), "DALAMB_") {
			t.Errorf("%s has the variable %s, which is also of %s", s.Key, s.Variable(), other)
		}
		seen[s.Variable()] = s.Key
	}
}

// A value that could not be read is one mistake, and not a second one where it is compared.
func TestMistakesOfAllKindsAreToldAtOnce(t *testing.T) {
	f, err := Check(Source{
		File:        file(t, "dta: a\nlimits:\n  request: 8Mx\n  upload: 7Mi\n  instances: 0\nlog: {level: loud}\nsignin: {issuer: 'https://id.example', client: c, groups: [x]}\n"),
		Environment: given(map[string]string{"DALAMB_DRAIN": "1d"}),
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range f.Mistakes {
		got = append(got, p.Key)
	}
	if want := []string{"dta", "limits.request", "limits.instances", "log.level", "signin.groups", "drain"}; !slices.Equal(got, want) {
		t.Errorf("mistakes = %q, want %q", got, want)
	}
}

func TestAStrongerSourceMendsAValue(t *testing.T) {
	f, err := Check(Source{File: file(t, "drain: soon\n"), Environment: given(map[string]string{"DALAMB_DRAIN": "1m"})})
	if err != nil || f.Node.Drain != function.Duration(time.Minute) || len(f.Mistakes) != 1 {
		t.Errorf("Check = %+v, %v; want the variable's drain, and the file's mistake told", f, err)
	}
}

func TestCheckLooksAtFilesThatAreNamed(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, mode os.FileMode) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(p, mode); err != nil {
			t.Fatal(err)
		}
		return p
	}
	whole, open := write("whole", 0o640), write("open", 0o644)
	none := filepath.Join(dir, "none")
	for _, c := range []struct {
		name, text        string
		mistakes, warning string // in the first one; "" = there is none
	}{
		{"all is there", "data: " + dir + "\nbuild: {tools: [" + dir + "]}\nsecrets: {passphrase: " + whole + "}\n", "", ""},
		{"what is made", "data: " + none + "/deep\nsecrets: {key: " + none + "/secret.key}\n", "", ""},
		{"a secret for everybody", "secrets: {passphrase: " + open + "}\n", "", "secrets.passphrase is a secret, and everybody on this machine may use"},
		{"a certificate for everybody", "tls: {cert: " + open + ", key: " + whole + "}\n", "", ""},
		{"no certificate", "tls: {cert: " + none + ", key: " + whole + "}\n", ":1:13: tls.cert cannot be read: stat " + none, ""},
		{"a directory for a file", "tls: {cert: " + whole + ", key: " + dir + "}\n", "tls.key needs a file", ""},
		{"a file for a directory", "data: " + whole + "\n", ":1:7: data needs a directory", ""},
		{"data below a file", "data: " + whole + "/data\n", "data cannot be read: stat " + whole + "/data: not a directory", ""},
		{"tools that are not there", "build: {tools: [" + none + "]}\n", "", "build.tools cannot be read"},
		{"no program", "secrets: {kms: no-such-program x}\n", "", "secrets.kms cannot be started"},
		{"a registry's password", "registries: ['https://r.example?user=a&password-file=" + none + "']\n", "", "registries cannot be read"},
		{"Kafka's password", "eventlog: 'kafka://k:9092?sasl=plain&user=a&password-env=NONE'\n", "eventlog takes a password from the variable NONE, which is empty here", ""},
		{"Kafka's certificates", "eventlog: 'kafka://k:9092?ca=" + none + "'\n", "eventlog cannot be read", ""},
		{"no client secret", "signin: {issuer: 'https://id.example', client: c, groups: [a=admin], secret: " + none + "}\n", "", "signin.secret cannot be read"},
		{"a client secret for everybody", "signin: {issuer: 'https://id.example', client: c, groups: [a=admin], secret: " + open + "}\n", "", "signin.secret is a secret, and everybody"},
		{"no account", "kubernetes: {account: " + none + "}\n", "", "kubernetes.account cannot be read"},
		{"header fields for everybody", "otlp: {headers: " + open + "}\n", "", "otlp.headers is a secret, and everybody"},
		{"a key for everybody", "otlp: {cert: " + open + ", key: " + open + "}\n", "", "otlp.key is a secret, and everybody"},
		{"files that are made", "audit: {checkpoints: " + none + "}\nlogs: {ship: ['file://" + none + "']}\n", "", ""},
		{"checkpoints whose directory is not there", "audit: {checkpoints: " + none + "/deep}\n", "", "audit.checkpoints cannot be read: stat " + none},
		{"a sink that is a directory", "logs: {ship: ['file://" + dir + "']}\n", "", "logs.ship needs a file"},
		{"a sink's authority", "logs: {ship: ['https://l.example?ca=" + none + "']}\n", "logs.ship cannot be read", ""},
		{"a sink's value for everybody", "logs: {ship: ['https://l.example?value-file=" + open + "']}\n", "", "logs.ship is a secret, and everybody"},
		{"a passphrase by a descriptor", "secrets: {passphrase: 'fd:9'}\n", "", ""},
	} {
		f, err := Check(Source{File: file(t, c.text), Environment: given(nil)})
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range []struct {
			what string
			got  Problems
			want string
		}{{"mistakes", f.Mistakes, c.mistakes}, {"warnings", f.Warnings, c.warning}} {
			if (len(one.got) > 0) != (one.want != "") || one.want != "" && !strings.Contains(one.got[0].String(), one.want) {
				t.Errorf("%s: %s = %v, want %q", c.name, one.what, one.got, one.want)
			}
		}
	}
}

// A new setting that names a file is looked at too.
func TestCheckLooksAtWhateverASettingNames(t *testing.T) {
	const at = "/some/where"
	for _, s := range Settings() {
		if !strings.Contains(s.Form, "file") && !strings.Contains(s.Form, "director") {
			continue
		}
		n := Default()
		if err := s.set(n, at); err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(n.names(nil), func(one named) bool { return one.key == s.Key && strings.HasPrefix(one.path, at) }) {
			t.Errorf("%s takes a %s, at which nobody looks", s.Key, s.Form)
		}
	}
}

func TestHoldsComparesWhatWasPutTogether(t *testing.T) {
	n := Default()
	if err := Holds(n); err != nil {
		t.Errorf("Holds of the defaults = %v", err)
	}
	n.Limits.Batch = 1 << 10
	if err := Holds(n); fault.KindOf(err) != fault.Invalid {
		t.Errorf("Holds of a batch below an event = %v, want Invalid", err)
	}
}

func TestAVariableThatIsMisspeltIsTold(t *testing.T) {
	set := map[string]string{
		"DALAMB_LISEN": ":80", "DALAMB_LIMIT_EVENT": "1Mi", "DALAMB_GATWAY": ":80", "DALAMB_SOMETHING_ELSE": "1", // nobody reads them
		"DALAMB_EMPTY": "", "DALAMB_DATA": "/data", "DALAMB_TOKEN": "x", "DALAMB_FUNCTION": "pay", "OTHER_LISEN": "1",
		"DALAMB_PORT": "tcp://10.0.0.1:80", "DALAMB_SERVICE_HOST": "10.0.0.1", "DALAMB_GATEWAY_PORT_80_TCP_ADDR": "10.0.0.1", // of Kubernetes
	}
	s := Source{Environment: given(set)}
	for name := range set {
		s.Names = append(s.Names, name)
	}
	var got []string
	for _, p := range misspelt(s) {
		got = append(got, p.Where+": "+p.Hint)
	}
	want := []string{
		"DALAMB_GATWAY: did you mean DALAMB_GATEWAY?", "DALAMB_LIMIT_EVENT: did you mean DALAMB_LIMITS_EVENT?", "DALAMB_LISEN: did you mean DALAMB_CONTROL_LISTEN?",
		"DALAMB_SOMETHING_ELSE: docs/reference/configuration.md has the settings; a variable of another program may stay",
	}
	if !slices.Equal(got, want) {
		t.Errorf("misspelt = %q, want %q", got, want)
	}
}

func TestAllItemsOfAListThatAreWrongAreTold(t *testing.T) {
	f, err := Check(Source{File: file(t, "logs:\n  ship:\n    - ftp://one\n    - 'stdout:'\n    - 'stdout:?format=json'\nregistries: ['https://a.example/path', 'https://b.example?x=y']\n"),
		Environment: given(map[string]string{"DALAMB_REGISTRIES": "ftp://x,ftp://y"})})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range f.Mistakes {
		where := p.Where
		if i := strings.Index(where, ".yaml"); i >= 0 {
			where = where[i:]
		}
		got = append(got, where+" "+p.Key)
	}
	if want := []string{".yaml:3:7 logs.ship", ".yaml:5:7 logs.ship", ".yaml:6:14 registries", ".yaml:6:40 registries", "DALAMB_REGISTRIES registries", "DALAMB_REGISTRIES registries"}; !slices.Equal(got, want) {
		t.Errorf("mistakes at %q, want %q", got, want)
	}
}
