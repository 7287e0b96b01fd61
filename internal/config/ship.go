package config

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// Sinks are where functions' log lines are shipped to.
type Sinks []Sink

// SinkKind is what a sink speaks.
type SinkKind string

// The kinds of sinks; each is the default name of one.
const (
	SinkStdout SinkKind = "stdout"
	SinkFile   SinkKind = "file"
	SinkSyslog SinkKind = "syslog"
	SinkOTLP   SinkKind = "otlp"
	SinkHTTP   SinkKind = "http"
)

// Sink is one place, and which lines it gets. It holds no secret, but says where that is.
type Sink struct {
	Kind      SinkKind
	Name      string            // under which the log knows how far it is
	Functions []string          // globs; nil = all
	Level     function.LogLevel // the least; "" = all

	Address string // file: a path; syslog: host:port or the path of a socket; otlp, http: a URL
	Network string // syslog: udp, tcp, tls or unix
	Text    bool   // stdout, file: plain lines in the place of JSON

	Size function.Bytes    // file: begun anew beyond; 0 = never
	Age  function.Duration // file: begun anew when so old; 0 = never
	Keep int               // file: older ones that stay
	Gzip bool              // file: of the older ones

	Facility    string // syslog
	CA          string // file with the authority of the other side; "" = the machine's
	Header      string // otlp, http: with a value from one of the two that follow
	ValueFile   string
	ValueSecret string // the name of a secret

	options url.Values // as they were written
}

const sinkForm = "stdout:, file:///PATH, syslog+udp://HOST:PORT, syslog+tcp://, syslog+tls://, syslog+unix:///PATH, otlp+http://HOST:PORT, otlp+https://, http://HOST/PATH or https://, with ?options"

// facilities are those of RFC 5424, section 6.2.1, that a program may be of.
func facilities() []string {
	return []string{"user", "daemon", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"}
}

func parseSinks(text string) (Sinks, error) {
	return parseItems(text, func(item string, before []Sink) (Sink, error) {
		s, err := parseSink(item)
		if err == nil && slices.ContainsFunc(before, func(o Sink) bool { return o.Name == s.Name }) {
			err = fault.New(fault.Invalid, "has two sinks of the name %s", s.Name).WithHint("give one another name: ?name=NAME; by it the log knows how far each is")
		}
		return s, err
	})
}

// parseSink reads an address such as file:///var/log/shop.log?level=warn. An error never repeats what may be a password.
func parseSink(text string) (Sink, error) {
	s := Sink{Facility: "user", Size: 100 << 20, Keep: 7}
	u, err := url.Parse(text)
	if err != nil {
		return s, fmt.Errorf("has an item that is not %s", sinkForm)
	}
	if u.User != nil {
		return s, fault.New(fault.Invalid, "has a user or a password in an address, which everybody can read there").
			WithHint("name where a header's value is: ?header=Authorization&value-file=FILE, or value-secret=NAME")
	}
	if err := s.place(u); err != nil {
		return s, err
	}
	s.Name = string(s.Kind)
	if s.options, err = url.ParseQuery(u.RawQuery); err != nil {
		return s, fmt.Errorf("has the sink %s with options that are not name=value&name=value", s.Kind)
	}
	for name, values := range s.options {
		if err := s.option(name, values); err != nil {
			return s, err
		}
	}
	switch {
	case s.ValueFile != "" && s.ValueSecret != "":
		return s, fmt.Errorf("has the sink %s with both value-file and value-secret", s.Name)
	case s.Header != "" && s.ValueFile == "" && s.ValueSecret == "":
		return s, fmt.Errorf("has the sink %s with a header and neither value-file nor value-secret", s.Name)
	case s.Header == "":
		s.Header = "Authorization"
	}
	return s, nil
}

// place reads what stands before the options.
func (s *Sink) place(u *url.URL) error {
	bare := u.Host == "" && u.Fragment == ""
	switch scheme := u.Scheme; scheme {
	case "stdout":
		s.Kind = SinkStdout
		if !bare || u.Path != "" || u.Opaque != "" {
			return fmt.Errorf("has stdout: with a path; it has options alone")
		}
	case "file":
		s.Kind, s.Address = SinkFile, filepath.Clean(u.Path)
		if !bare || !filepath.IsAbs(u.Path) || strings.HasSuffix(u.Path, "/") {
			return fmt.Errorf("has a file that is not file:///DIRECTORY/FILE")
		}
	case "syslog+unix":
		s.Kind, s.Network, s.Address = SinkSyslog, "unix", u.Path
		if !bare || !filepath.IsAbs(u.Path) {
			return fmt.Errorf("has a socket that is not syslog+unix:///PATH")
		}
	case "syslog+udp", "syslog+tcp", "syslog+tls":
		s.Kind, s.Network, s.Address = SinkSyslog, strings.TrimPrefix(scheme, "syslog+"), u.Host
		if _, port, err := net.SplitHostPort(u.Host); err != nil || port == "" || strings.Trim(u.Path, "/") != "" {
			return fmt.Errorf("has a syslog that is not %s://HOST:PORT", scheme)
		}
	case "otlp+http", "otlp+https", "http", "https":
		s.Kind = SinkHTTP
		to := url.URL{Scheme: scheme, Host: u.Host, Path: u.Path}
		if plain, otlp := strings.CutPrefix(scheme, "otlp+"); otlp {
			s.Kind, to.Scheme = SinkOTLP, plain
			if strings.Trim(u.Path, "/") == "" {
				to.Path = "/v1/logs" // OTLP 1.7, section "OTLP/HTTP Request"
			}
		}
		if u.Host == "" || u.Fragment != "" {
			return fmt.Errorf("has a sink %s:// without a host", scheme)
		}
		s.Address = to.String()
	default:
		return fmt.Errorf("has an item that is not %s", sinkForm)
	}
	return nil
}

// sinkOptions are those of each kind, beside those that all have.
func sinkOptions(k SinkKind) []string {
	all := []string{"name", "functions", "level"}
	switch k {
	case SinkStdout:
		return append(all, "format")
	case SinkFile:
		return append(all, "format", "size", "age", "keep", "gzip")
	case SinkSyslog:
		return append(all, "facility", "ca")
	}
	return append(all, "ca", "header", "value-file", "value-secret")
}

func (s *Sink) option(name string, values []string) (err error) {
	allowed := sinkOptions(s.Kind)
	v := values[0]
	switch {
	case !slices.Contains(allowed, name):
		return fmt.Errorf("has the option %q of %s; allowed: %s", fault.Clip(name), s.Kind, strings.Join(allowed, ", "))
	case len(values) > 1 && name != "functions" || slices.Contains(values, ""):
		return fmt.Errorf("has the option %s of %s not exactly once, with a value", name, s.Kind)
	case strings.ContainsAny(v, "\x00\r\n"):
		return fmt.Errorf("has the option %s of %s with more than a line", name, s.Kind)
	}
	switch name {
	case "name":
		s.Name = v
		if len(v) > 63 || strings.Trim(v, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			err = fmt.Errorf("is made of small letters, digits and dashes, 63 at most")
		}
	case "functions":
		s.Functions = values
		for _, glob := range values {
			if strings.Trim(glob, "abcdefghijklmnopqrstuvwxyz0123456789-.*") != "" {
				err = fmt.Errorf("is names of functions, in which a star stands for any characters but a dot: functions=shop-*&functions=pay")
			}
		}
	case "level":
		s.Level = function.LogLevel(v)
		err = among(v, function.LogLevels())
	case "format":
		s.Text = v == "text"
		err = among(v, []string{"json", "text"})
	case "size":
		if err = s.Size.UnmarshalText([]byte(v)); err == nil && s.Size != 0 && s.Size < 64<<10 {
			err = fmt.Errorf("is a size from 64Ki, or 0 for no bound")
		}
	case "age":
		if err = s.Age.UnmarshalText([]byte(v)); err == nil && s.Age != 0 && s.Age < function.Duration(time.Second) {
			err = fmt.Errorf("is a duration from 1s, or 0s for no bound")
		}
	case "keep":
		if s.Keep, err = strconv.Atoi(v); err != nil || s.Keep < 0 || s.Keep > 10_000 {
			err = fmt.Errorf("is a number from 0 to 10000")
		}
	case "gzip":
		s.Gzip = v == "true"
		err = among(v, []string{"true", "false"})
	case "facility":
		s.Facility = v
		err = among(v, facilities())
	case "ca":
		s.CA = v
	case "header":
		s.Header = v
		if headerNames([]string{v}) != "" {
			err = fmt.Errorf("is the name of a header")
		}
	case "value-file":
		s.ValueFile = v
	default: // value-secret
		s.ValueSecret = v
	}
	if err != nil {
		return fmt.Errorf("has the sink %s with the option %s that is wrong: %w", s.Kind, name, err)
	}
	return nil
}

func among(v string, allowed []string) error {
	if !slices.Contains(allowed, v) {
		return fmt.Errorf("is %q; allowed: %s", fault.Clip(v), strings.Join(allowed, ", "))
	}
	return nil
}

// String is the text that parseSink reads.
func (s Sink) String() string {
	base := s.Address
	switch s.Kind {
	case SinkStdout:
		base = "stdout:"
	case SinkFile:
		base = "file://" + s.Address
	case SinkSyslog:
		base = "syslog+" + s.Network + "://" + s.Address
	case SinkOTLP:
		base = "otlp+" + s.Address
	}
	if len(s.options) > 0 {
		base += "?" + s.options.Encode()
	}
	return base
}

func (all Sinks) String() string {
	texts := make([]string, len(all))
	for i, s := range all {
		texts[i] = s.String()
	}
	return "[" + strings.Join(texts, ", ") + "]"
}

func shipSettings() []Setting {
	return []Setting{
		{Key: "logs.ship", Form: "list of addresses", List: true, Help: "Where the log lines of functions are shipped to, beside the event log: stdout:, file:///PATH, syslog+udp://HOST:PORT (or tcp, tls, unix), otlp+http://HOST:PORT, https://HOST/PATH; each with options, such as ?functions=shop-*&level=warn; docs/logs.md. Default: nowhere.",
			value: func(n *Node) any { return &n.Logs.Ship }, check: func(*Node) string { return "" }},
	}
}
