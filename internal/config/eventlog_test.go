package config

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

func TestEventLogReadsAndWrites(t *testing.T) {
	tests := []struct {
		text string
		want *Kafka
		form string // String(); "" = text
	}{
		{"disk", nil, ""},
		{"kafka://h1:9092", &Kafka{Brokers: []string{"h1:9092"}}, ""},
		{"kafka://h1:9092/", &Kafka{Brokers: []string{"h1:9092"}}, "kafka://h1:9092"},
		{"kafka://h1:9092?", &Kafka{Brokers: []string{"h1:9092"}}, "kafka://h1:9092"},
		{"kafka://[::1]:9092,10.0.0.2:1", &Kafka{Brokers: []string{"[::1]:9092", "10.0.0.2:1"}}, ""},
		{"kafka://h1:9092?tls=on", &Kafka{Brokers: []string{"h1:9092"}, TLS: true}, ""},
		{"kafka://h1:9092?tls=off", &Kafka{Brokers: []string{"h1:9092"}}, "kafka://h1:9092"},
		{"kafka://h1:9092?ca=/etc/ca.pem", &Kafka{Brokers: []string{"h1:9092"}, TLS: true, CA: "/etc/ca.pem"}, "kafka://h1:9092?tls=on&ca=%2Fetc%2Fca.pem"},
		{"kafka://h1:9092?cert=a%26b&key=c%20d", &Kafka{Brokers: []string{"h1:9092"}, TLS: true, Cert: "a&b", Key: "c d"}, "kafka://h1:9092?tls=on&cert=a%26b&key=c+d"},
		{"kafka://h1:9092?sasl=PLAIN&user=u&password-file=p", &Kafka{Brokers: []string{"h1:9092"}, SASL: "plain", User: "u", PasswordFile: "p"},
			"kafka://h1:9092?sasl=plain&user=u&password-file=p"},
		{"kafka://h1:9092?sasl=scram-sha-512&user=u&password-env=P&replication=1&session-timeout=20s",
			&Kafka{Brokers: []string{"h1:9092"}, SASL: "scram-sha-512", User: "u", PasswordEnv: "P", Replication: 1, SessionTimeout: function.Duration(20 * time.Second)}, ""},
	}
	for _, tt := range tests {
		var got EventLog
		if err := got.UnmarshalText([]byte(tt.text)); err != nil {
			t.Errorf("UnmarshalText(%q) = %v", tt.text, err)
			continue
		}
		if !reflect.DeepEqual(got.Kafka, tt.want) {
			t.Errorf("UnmarshalText(%q) = %+v, want %+v", tt.text, got.Kafka, tt.want)
		}
		want := tt.form
		if want == "" {
			want = tt.text
		}
		if got.String() != want {
			t.Errorf("String() of %q = %q, want %q", tt.text, got, want)
		}
	}
}

func TestEventLogNamesWhatIsWrong(t *testing.T) {
	const base = "kafka://h1:9092"
	tests := []struct{ name, text, want, hint string }{
		{"nothing", "", `is "", neither disk`, ""},
		{"another word", "pebble", `is "pebble", neither disk nor an address that begins with kafka://`, ""},
		{"another scheme", "nats://h:1", "is a nats:// address", ""},
		{"no scheme", "h1:9092", `is "h1:9092", neither`, ""},
		{"no broker", "kafka://", `has the broker "", which is not host:port`, ""},
		{"no port", "kafka://h1", `has the broker "h1", which is not host:port`, ""},
		{"port by name", "kafka://h1:kafka", `"h1:kafka", whose port`, ""},
		{"port zero", "kafka://h1:0", `"h1:0", whose port`, ""},
		{"port with a zero before", "kafka://h1:09092", "whose port", ""},
		{"an empty broker", "kafka://h1:1,,h2:1", `has the broker ""`, ""},
		{"a space", "kafka://h1:1, h2:1", `has the broker " h2:1"`, ""},
		{"twice", "kafka://h1:1,h1:1", "names the broker h1:1 twice", ""},
		{"a path", base + "/events", "has a path", ""},
		{"a fragment", base + "#x", "has a path or a fragment", ""},
		{"unknown option", base + "?tsl=on", `has the option "tsl"`, "did you mean tls?"},
		{"skipping the check", base + "?insecure=true", `has the option "insecure"`, "options: tls, ca"},
		{"option twice", base + "?tls=on&tls=on", "has the option tls twice", ""},
		{"option without a value", base + "?ca=", "has the option ca without a value", ""},
		{"bad escape", base + "?ca=%zz", "has the option ca with a %", ""},
		{"tls", base + "?tls=true", `has the option tls, which is "true"; allowed: on, off`, ""},
		{"tls off with a CA", base + "?tls=off&ca=x", "has tls=off beside ca", ""},
		{"a certificate without its key", base + "?cert=x", "needs both cert and key", ""},
		{"mechanism", base + "?sasl=gssapi&user=u&password-env=P", `which is "gssapi"; allowed: plain, scram-sha-256, scram-sha-512`, ""},
		{"a user alone", base + "?user=u", "names a user or a password but no sasl", ""},
		{"sasl without a user", base + "?sasl=plain&password-env=P", "without user=NAME", ""},
		{"sasl without a password", base + "?sasl=plain&user=u", "needs one of password-file=FILE and password-env=VARIABLE", ""},
		{"two passwords", base + "?sasl=plain&user=u&password-env=P&password-file=F", "needs one of", ""},
		{"replication", base + "?replication=0", "allowed: 1 to 32", ""},
		{"session", base + "?session-timeout=10ms", "allowed: 1s to 5m", ""},
	}
	for _, tt := range tests {
		var l EventLog
		err := l.UnmarshalText([]byte(tt.text))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: UnmarshalText(%q) = %v, want %q in it", tt.name, tt.text, err, tt.want)
		}
		if hint := fault.HintOf(err); !strings.Contains(hint, tt.hint) {
			t.Errorf("%s: hint = %q, want %q in it", tt.name, hint, tt.hint)
		}
		if l.Kafka != nil {
			t.Errorf("%s: a refused text left %+v", tt.name, l.Kafka)
		}
	}
}

func TestNoErrorRepeatsAPassword(t *testing.T) {
	for _, text := range []string{
		"kafka://me:hunter2@h1:9092", "kafka://hunter2@h1", "me:hunter2@h1:9092", "kafka://h1:9092?password=hunter2",
		"kafka://h1:9092?sasl=plain&user=u&sasl.password=hunter2", "kafka://h1:9092?passwd=hunter2", "kafka://h1:9092?secret=hunter2",
		"kafka://h1:9092?PASSWORD=hunter2%zz", "kafka://h1:9092?pwd=hunter2",
	} {
		_, err := Load(Source{Set: map[string]string{"eventlog": text}})
		if err == nil {
			t.Errorf("%q was taken", text)
			continue
		}
		if said := err.Error() + fault.HintOf(err); strings.Contains(said, "hunter2") {
			t.Errorf("the error of %q says %q", text, said)
		}
		if hint := fault.HintOf(err); strings.HasPrefix(text, kafkaScheme) && !strings.Contains(hint, "password-file=FILE") {
			t.Errorf("the hint of %q is %q, want it to say where a password goes", text, hint)
		}
	}
}

func FuzzEventLog(f *testing.F) {
	for _, s := range []string{"disk", "kafka://h1:9092", "kafka://[::1]:9092,b:2?tls=on", "kafka://a:1?ca=x&cert=y&key=z",
		"kafka://a:1?sasl=plain&user=u&password-file=p&replication=3&session-timeout=1m30s", "kafka://u:p@h:1", "kafka://a:1?tls=%", "kafka://a:1?a;b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var l EventLog
		if l.UnmarshalText([]byte(text)) != nil {
			return
		}
		var again EventLog
		if err := again.UnmarshalText([]byte(l.String())); err != nil {
			t.Fatalf("%q was read as %q, which is refused: %v", text, l, err)
		}
		if !reflect.DeepEqual(l, again) {
			t.Fatalf("%q was read as %q, and that as %q", text, l, again)
		}
	})
}
