package app

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dalamb/dalamb/internal/config"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/need/broker"
)

// openURL opens the log that a --log names, for a node whose environment has PASSWORD.
func openURL(t *testing.T, text string) (eventlog.Log, error) {
	t.Helper()
	n := &Node{
		config: &config.Node{Data: t.TempDir()}, logger: slog.New(slog.DiscardHandler), metrics: prometheus.NewRegistry(),
		getenv: func(name string) string {
			if name == "PASSWORD" {
				return broker.Password
			}
			return ""
		},
	}
	if err := n.config.EventLog.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return openLog(n)
}

func TestAMistakeInWhatLogNamesIsToldAtOnce(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	empty, text := write("empty", "\n"), write("text", "no certificate")
	for _, tt := range []struct{ options, want string }{
		{"ca=" + dir + "/none", "--log: ca: open " + dir + "/none: no such file"},
		{"ca=" + text, "--log: ca: " + text + " holds no certificate in PEM"},
		{"cert=" + text + "&key=" + text, "--log: cert and key: "},
		{"cert=" + text + "&key=" + dir + "/none", "--log: cert and key: open " + dir + "/none"},
		{"sasl=plain&user=u&password-file=" + dir + "/none", "--log: password-file: open " + dir + "/none"},
		{"sasl=plain&user=u&password-file=" + empty, "--log: password-file: " + empty + " is empty"},
		{"sasl=scram-sha-256&user=u&password-env=NONE", "--log: password-env: the environment variable NONE is not set"},
	} {
		log, err := openURL(t, "kafka://127.0.0.1:1?"+tt.options)
		if err == nil {
			t.Errorf("%s: no error", tt.options)
			log.Close()
			continue
		}
		if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), tt.want) || fault.HintOf(err) == "" {
			t.Errorf("%s: %v (hint %q), want %q in it, of kind invalid", tt.options, err, fault.HintOf(err), tt.want)
		}
	}
}

// TestKafkaTakesWhoItKnows goes through all ways in, right and wrong, of a real broker.
func TestKafkaTakesWhoItKnows(t *testing.T) {
	c := need.KafkaCluster(t, broker.Options{Security: true})
	at := func(name string) string { return filepath.Join(c.Dir(), name) }
	wrong := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(wrong, []byte("letmein\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ca := "?ca=" + at(broker.CAFile)
	pair := "&cert=" + at(broker.ClientFile) + "&key=" + at(broker.ClientKey)
	const user = "user=" + broker.User + "&password-env=PASSWORD"
	bad := "user=" + broker.User + "&password-file=" + wrong
	for _, tt := range []struct {
		name string
		to   broker.Listener
		with string
		want string // in the error or its hint; "" = it works
		kind fault.Kind
	}{
		{name: "plain", to: broker.Plain},
		{name: "TLS", to: broker.TLS, with: ca},
		{name: "mutual TLS", to: broker.Mutual, with: ca + pair},
		{name: "PLAIN", to: broker.SASL, with: "?sasl=plain&" + user},
		{name: "PLAIN over TLS", to: broker.SASLTLS, with: ca + "&sasl=plain&" + user},
		{name: "SCRAM-SHA-256", to: broker.SASL, with: "?sasl=scram-sha-256&" + user},
		{name: "SCRAM-SHA-512 over TLS", to: broker.SASLTLS, with: ca + "&sasl=scram-sha-512&" + user},

		{"another CA", broker.TLS, "?ca=" + at(broker.OtherCAFile), "unknown authority", fault.Unauthenticated},
		{"the system's CAs", broker.TLS, "?tls=on", "unknown authority", fault.Unauthenticated},
		{"no TLS where it is wanted", broker.TLS, "", "tls=on", fault.Unavailable},
		{"TLS where there is none", broker.Plain, ca, "the broker speaks no TLS there", fault.Unavailable},
		{"no certificate", broker.Mutual, ca, "cert=FILE", fault.Unauthenticated},
		{"no SASL", broker.SASL, "", "sasl=", fault.Unavailable},
		{"wrong password for PLAIN", broker.SASL, "?sasl=plain&" + bad, "user, password or mechanism", fault.Unauthenticated},
		{"wrong password for SCRAM", broker.SASLTLS, ca + "&sasl=scram-sha-512&" + bad, "user, password or mechanism", fault.Unauthenticated},
		{"unknown user", broker.SASL, "?sasl=scram-sha-256&user=mallory&password-env=PASSWORD", "user, password or mechanism", fault.Unauthenticated},
	} {
		t.Run(tt.name, func(t *testing.T) {
			refuses(t, "kafka://"+c.Addresses(tt.to)+tt.with, tt.want, tt.kind)
		})
	}
	t.Run("another name", func(t *testing.T) {
		address := strings.Replace(c.Addresses(broker.TLS), "127.0.0.1", "localhost", 1)
		refuses(t, "kafka://"+address+ca, "made for another name", fault.Unauthenticated)
	})
}

// refuses tries a log; want is what it says, "" for nothing.
func refuses(t *testing.T, text, want string, kind fault.Kind) {
	t.Helper()
	log, err := openURL(t, text)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	_, err = log.Topics(ctx)
	if want == "" {
		if err != nil {
			t.Errorf("Topics = %v", err)
		}
		return
	}
	if err == nil {
		t.Fatalf("Topics works, want an error with %q", want)
	}
	said := err.Error() + " | " + fault.HintOf(err)
	if !strings.Contains(said, want) || fault.KindOf(err) != kind {
		t.Errorf("Topics = %s: %s, want %q in it, of kind %s", fault.KindOf(err), said, want, kind)
	}
	if strings.Contains(said, broker.Password) || strings.Contains(said, "letmein") {
		t.Errorf("the password is in %q", said)
	}
}
