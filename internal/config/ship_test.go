package config

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

func TestSinksAreRead(t *testing.T) {
	text := `logs:
  ship:
    - "stdout:?format=text&level=warn"
    - file:///var/log/shop.log?size=10Mi&age=1d&keep=3&gzip=true&functions=shop-*&functions=pay
    - syslog+tls://logs.example:6514?facility=local3&ca=/etc/ca.pem
    - syslog+unix:///dev/log?name=here
    - otlp+http://127.0.0.1:4318?value-secret=otlp&header=X-Key
    - https://logs.example/in/put?name=central&value-file=/run/token
`
	n, err := Load(Source{File: file(t, text)})
	if err != nil {
		t.Fatal(err)
	}
	base := Sink{Facility: "user", Size: 100 << 20, Keep: 7, Header: "Authorization"}
	with := func(change func(*Sink)) Sink { s := base; change(&s); return s }
	want := Sinks{
		with(func(s *Sink) { s.Kind, s.Name, s.Text, s.Level = SinkStdout, "stdout", true, function.LogWarn }),
		with(func(s *Sink) {
			s.Kind, s.Name, s.Address, s.Size, s.Age, s.Keep, s.Gzip, s.Functions = SinkFile, "file", "/var/log/shop.log", 10<<20, function.Duration(24*time.Hour), 3, true, []string{"shop-*", "pay"}
		}),
		with(func(s *Sink) {
			s.Kind, s.Name, s.Network, s.Address, s.Facility, s.CA = SinkSyslog, "syslog", "tls", "logs.example:6514", "local3", "/etc/ca.pem"
		}),
		with(func(s *Sink) { s.Kind, s.Name, s.Network, s.Address = SinkSyslog, "here", "unix", "/dev/log" }),
		with(func(s *Sink) {
			s.Kind, s.Name, s.Address, s.ValueSecret, s.Header = SinkOTLP, "otlp", "http://127.0.0.1:4318/v1/logs", "otlp", "X-Key"
		}),
		with(func(s *Sink) {
			s.Kind, s.Name, s.Address, s.ValueFile = SinkHTTP, "central", "https://logs.example/in/put", "/run/token"
		}),
	}
	bare := func(all Sinks) (out Sinks) {
		for _, s := range all {
			s.options = nil
			out = append(out, s)
		}
		return out
	}
	if got := bare(n.Logs.Ship); !reflect.DeepEqual(got, want) {
		t.Errorf("sinks = %+v\nwant    %+v", got, want)
	}
	again, err := parseSinks(strings.Trim(n.Logs.Ship.String(), "[]"))
	if err != nil || !reflect.DeepEqual(bare(again), want) {
		t.Errorf("written and read again = %+v, %v", again, err)
	}
}

func TestSinksThatAreWrong(t *testing.T) {
	for text, want := range map[string]string{
		"logs.example":                           "has an item that is not stdout:",
		"gopher://x":                             "has an item that is not stdout:",
		"stdout://x":                             "has stdout: with a path",
		"file://log/shop":                        "not file:///DIRECTORY/FILE",
		"file:///var/log/":                       "not file:///DIRECTORY/FILE",
		"file:shop.log":                          "not file:///DIRECTORY/FILE",
		"syslog+udp://x":                         "not syslog+udp://HOST:PORT",
		"syslog+unix://dev/log":                  "not syslog+unix:///PATH",
		"otlp+http:///v1":                        "without a host",
		"https://me:word@x/":                     "has a user or a password in an address",
		"stdout:?colour=1":                       `has the option "colour" of stdout; allowed: name, functions, level, format`,
		"stdout:?level=loud":                     `is "loud"; allowed: trace, debug`,
		"stdout:?level=":                         "the option level of stdout not exactly once",
		"stdout:?level=warn&level=info":          "not exactly once",
		"stdout:?functions=a/b":                  "names of functions",
		"stdout:?name=A":                         "small letters",
		"file:///x?size=1":                       "a size from 64Ki",
		"file:///x?age=1ms":                      "a duration from 1s",
		"file:///x?keep=-1":                      "a number from 0",
		"file:///x?gzip=yes":                     "allowed: true, false",
		"syslog+udp://x:1?facility=kern":         `is "kern"; allowed: user`,
		"https://x/?header=X":                    "neither value-file nor value-secret",
		"https://x/?value-file=a&value-secret=b": "both value-file and value-secret",
		"https://x/?header=A:b&value-file=a":     "the name of a header",
		"https://x/, http://y/":                  "two sinks of the name http",
	} {
		_, err := Load(Source{File: file(t, "logs: {ship: ['"+strings.ReplaceAll(text, ", ", "', '")+"']}\n")})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "word@") || fault.HintOf(err) == "" {
			t.Errorf("%s: %v, want %q, a hint and no password", text, err, want)
		}
	}
}
