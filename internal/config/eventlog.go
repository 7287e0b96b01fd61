package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

const (
	embedded    = "disk"
	kafkaScheme = "kafka://"
)

// EventLog says where the events are. The zero value is the embedded log in the data directory.
type EventLog struct {
	Kafka *Kafka // nil = embedded
}

// Kafka is a cluster, and as whom a node speaks to it. It holds no password, but says where that is.
type Kafka struct {
	Brokers []string // host:port

	TLS  bool
	CA   string // file of certificates in PEM that the brokers' are signed with; "" = those that the system trusts
	Cert string // file of the node's own certificate in PEM, for mutual TLS; "" = none
	Key  string // file of its key

	SASL         string // "" = none, or one of saslMechanisms
	User         string
	PasswordFile string // either this
	PasswordEnv  string // or this, an environment variable

	Replication    int16             // of the topics that dalamb makes; 0 = the driver's default
	SessionTimeout function.Duration // 0 = the driver's default
}

// saslMechanisms are the values of the option sasl.
func saslMechanisms() []string { return []string{"plain", "scram-sha-256", "scram-sha-512"} }

// kafkaOption is an option of the URL.
type kafkaOption struct {
	name string
	set  func(k *Kafka, v string) error
	get  func(k *Kafka) string // "" = not said
}

// kafkaOptions are all options, in the order in which String writes them.
func kafkaOptions() []kafkaOption {
	text := func(name string, field func(k *Kafka) *string) kafkaOption {
		return kafkaOption{name,
			func(k *Kafka, v string) error { *field(k) = v; return nil },
			func(k *Kafka) string { return *field(k) }}
	}
	return []kafkaOption{
		{"tls", func(k *Kafka, v string) error {
			if k.TLS = v == "on"; !k.TLS && v != "off" {
				return fmt.Errorf("is %q; allowed: on, off", v)
			}
			return nil
		}, func(k *Kafka) string {
			if !k.TLS {
				return ""
			}
			return "on"
		}},
		text("ca", func(k *Kafka) *string { return &k.CA }),
		text("cert", func(k *Kafka) *string { return &k.Cert }),
		text("key", func(k *Kafka) *string { return &k.Key }),
		{"sasl", func(k *Kafka, v string) error {
			k.SASL = strings.ToLower(v)
			if what := oneOf(k.SASL, saslMechanisms()...); what != "" {
				return errors.New(what)
			}
			return nil
		}, func(k *Kafka) string { return k.SASL }},
		text("user", func(k *Kafka) *string { return &k.User }),
		text("password-file", func(k *Kafka) *string { return &k.PasswordFile }),
		text("password-env", func(k *Kafka) *string { return &k.PasswordEnv }),
		{"replication", func(k *Kafka, v string) error {
			n, err := strconv.ParseInt(v, 10, 16)
			if err != nil || n < 1 || n > 32 || strconv.FormatInt(n, 10) != v {
				return fmt.Errorf("is %q; allowed: 1 to 32", v)
			}
			k.Replication = int16(n)
			return nil
		}, func(k *Kafka) string {
			if k.Replication == 0 {
				return ""
			}
			return strconv.Itoa(int(k.Replication))
		}},
		{"session-timeout", func(k *Kafka, v string) error {
			if err := k.SessionTimeout.UnmarshalText([]byte(v)); err != nil {
				return err
			}
			if what := span(k.SessionTimeout, function.Duration(time.Second), function.Duration(5*time.Minute)); what != "" {
				return errors.New(what)
			}
			return nil
		}, func(k *Kafka) string {
			if k.SessionTimeout == 0 {
				return ""
			}
			return k.SessionTimeout.String()
		}},
	}
}

// UnmarshalText reads "disk" or kafka://HOST:PORT[,HOST:PORT...][?OPTION=VALUE&...]. An error never repeats what may be a password.
func (l *EventLog) UnmarshalText(text []byte) error {
	s := string(text)
	if s == embedded {
		*l = EventLog{}
		return nil
	}
	rest, ok := strings.CutPrefix(s, kafkaScheme)
	if !ok {
		scheme, _, isURL := strings.Cut(s, "://")
		switch {
		case isURL && !strings.ContainsAny(scheme, "@:/?"):
			return fmt.Errorf("is a %s:// address; a log is %s or %shost:port", scheme, embedded, kafkaScheme)
		case strings.Contains(s, "@"):
			return errors.New("is neither disk nor an address that begins with kafka://")
		}
		return fmt.Errorf("is %q, neither %s nor an address that begins with %s", s, embedded, kafkaScheme)
	}
	servers, query, _ := strings.Cut(rest, "?")
	if strings.Contains(servers, "@") {
		return passwordInside()
	}
	k := &Kafka{}
	if err := k.readBrokers(strings.TrimSuffix(servers, "/")); err != nil {
		return err
	}
	if err := k.readOptions(query); err != nil {
		return err
	}
	if err := k.complete(); err != nil {
		return err
	}
	l.Kafka = k
	return nil
}

// passwordInside: whoever looks at the list of processes, a shell's history or a log line would read it there.
func passwordInside() error {
	return fault.New(fault.Invalid, "has a user or a password in it, which everybody on this machine can read there").
		WithHint("name them by options: ?sasl=scram-sha-512&user=NAME&password-file=FILE (or password-env=VARIABLE)")
}

func (k *Kafka) readBrokers(list string) error {
	if strings.ContainsAny(list, "#/") {
		return errors.New("has a path or a fragment; after the last host:port only ?options may follow")
	}
	for b := range strings.SplitSeq(list, ",") {
		host, port, err := net.SplitHostPort(b)
		if err != nil || host == "" || strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`%"\<>`, r) }) {
			return fmt.Errorf("has the broker %q, which is not host:port such as kafka-1:9092", b)
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
			return fmt.Errorf("has the broker %q, whose port is not a number from 1 to 65535", b)
		}
		if slices.Contains(k.Brokers, b) {
			return fmt.Errorf("names the broker %s twice", b)
		}
		k.Brokers = append(k.Brokers, b)
	}
	return nil
}

func (k *Kafka) readOptions(query string) error {
	options := kafkaOptions()
	names := make([]string, len(options))
	for i, o := range options {
		names[i] = o.name
	}
	seen := map[string]bool{}
	if query == "" {
		return nil
	}
	for pair := range strings.SplitSeq(query, "&") {
		name, raw, _ := strings.Cut(pair, "=")
		if isPassword(name) {
			return passwordInside()
		}
		i := slices.Index(names, name)
		if i < 0 {
			err := fault.New(fault.Invalid, "has the option %q, which there is not", name)
			if near := fault.Nearest(name, names); len(near) > 0 {
				return err.WithHint("did you mean %s?", strings.Join(near, " or "))
			}
			return err.WithHint("options: %s", strings.Join(names, ", "))
		}
		v, err := url.QueryUnescape(raw)
		switch {
		case err != nil:
			return fmt.Errorf("has the option %s with a %% that is not followed by two hexadecimal digits", name)
		case v == "" || strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f }):
			return fmt.Errorf("has the option %s without a value", name)
		case seen[name]:
			return fmt.Errorf("has the option %s twice", name)
		}
		seen[name] = true
		if err := options[i].set(k, v); err != nil {
			return fmt.Errorf("has the option %s, which %w", name, err)
		}
	}
	if k.CA == "" && k.Cert == "" && k.Key == "" {
		return nil
	}
	if seen["tls"] && !k.TLS {
		return errors.New("has tls=off beside ca, cert or key")
	}
	k.TLS = true
	return nil
}

// isPassword finds what people write who mean a password.
func isPassword(option string) bool {
	option = strings.ToLower(option)
	return strings.Contains(option, "pass") && option != "password-file" && option != "password-env" || option == "pwd" || option == "secret"
}

// complete says what lacks its other half.
func (k *Kafka) complete() error {
	switch {
	case (k.Cert == "") != (k.Key == ""):
		return errors.New("needs both cert and key, or neither")
	case k.SASL == "" && (k.User != "" || k.PasswordFile != "" || k.PasswordEnv != ""):
		return fmt.Errorf("names a user or a password but no sasl; allowed: %s", strings.Join(saslMechanisms(), ", "))
	case k.SASL != "" && k.User == "":
		return fmt.Errorf("has sasl=%s without user=NAME", k.SASL)
	case k.SASL != "" && (k.PasswordFile == "") == (k.PasswordEnv == ""):
		return fmt.Errorf("has sasl=%s, which needs one of password-file=FILE and password-env=VARIABLE", k.SASL)
	}
	return nil
}

// Place says where the events are without how they are reached.
func (l EventLog) Place() string {
	if l.Kafka == nil {
		return embedded
	}
	return kafkaScheme + strings.Join(l.Kafka.Brokers, ",")
}

// String is the text that UnmarshalText reads.
func (l EventLog) String() string {
	if l.Kafka == nil {
		return embedded
	}
	s, sep := kafkaScheme+strings.Join(l.Kafka.Brokers, ","), "?"
	for _, o := range kafkaOptions() {
		if v := o.get(l.Kafka); v != "" {
			s += sep + o.name + "=" + url.QueryEscape(v)
			sep = "&"
		}
	}
	return s
}
