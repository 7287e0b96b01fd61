package function

import "strings"

// Values of Entry.Mode; "" is the first.
const (
	ModeOnce  = "once"
	ModeLines = "lines"
)

func modes() []string { return []string{ModeOnce, ModeLines} }

// Values of Entry.Protocol; "" is the first.
const (
	ProtocolHTTP1 = "http/1.1"
	ProtocolH2C   = "h2c"
)

func protocols() []string { return []string{ProtocolHTTP1, ProtocolH2C} }

// Once says whether an instance lives for one invocation, which starts it.
func (e *Entry) Once() bool { return e.Type == EntryStdio && e.Mode != ModeLines }

func entryMembers() []member[Entry] {
	return []member[Entry]{
		field("ready", "http only: a path. An instance takes requests when this path has answered 2xx. Default: when its port accepts a connection.", text[string](), func(e *Entry) *string { return &e.Ready }),
		field("protocol", "http only. h2c: HTTP/2 without TLS from the first byte on, as gRPC servers speak it; many requests share a connection. Default: http/1.1.", text(protocols()...), func(e *Entry) *string { return &e.Protocol }),
		field("mode", "stdio only. once: one process per event. lines: a process that stays, reads one JSON per line and answers each with one line of JSON. Default: once.", text(modes()...), func(e *Entry) *string { return &e.Mode }),
	}
}

// entryForm checks how a function of its entry's type is spoken to.
func (c *checker) entryForm(e *Entry) {
	for _, f := range []struct {
		name, value string
		allowed     []string
		of          EntryType
	}{
		{"ready", e.Ready, nil, EntryHTTP}, {"protocol", e.Protocol, protocols(), EntryHTTP}, {"mode", e.Mode, modes(), EntryStdio},
	} {
		field := "entry." + f.name
		switch {
		case f.value == "":
		case e.Type != f.of:
			c.add(field, "remove it, or set entry.type to "+string(f.of), "belongs to the entry %s", f.of)
		case f.allowed != nil:
			oneOf(c, field, f.value, f.allowed)
		case f.value[0] != '/' || strings.ContainsFunc(f.value, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '#' }):
			c.add(field, "such as /health", "%q is no path of a request", clip(f.value))
		}
	}
}
