package gateway

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"strings"
)

// traceParent is the trace that a request belongs to: the client's, or else a new one.
func traceParent(h http.Header) string {
	if given := givenTrace(h); given != "" {
		return given
	}
	return newTrace()
}

// givenTrace is the trace that the client says, also in AWS's form; "" = none. W3C Trace Context, section 3.2.
func givenTrace(h http.Header) string {
	if v := h["Traceparent"]; len(v) == 1 && validTraceParent(v[0]) {
		return v[0]
	}
	if v := h["X-Amzn-Trace-Id"]; len(v) == 1 {
		return fromXRay(v[0])
	}
	return ""
}

// newTrace begins one.
func newTrace() string {
	var id [16]byte
	rand.Read(id[:]) // never fails: it ends the process instead
	id[0] |= 1       // it may not be all zero
	return withParent("00-" + hex.EncodeToString(id[:]) + "-")
}

// withParent is a trace, up to where its parent's id begins, with a new one.
func withParent(trace string) string {
	var id [8]byte
	rand.Read(id[:])
	id[0] |= 1
	return trace + hex.EncodeToString(id[:]) + "-00" // not sampled: whoever samples decides
}

// trace is what all attempts of a call belong to.
type trace struct {
	parent string // W3C's traceparent; "" = not known yet
	begun  bool   // by the node
}

// of is the trace of the attempts of a request.
func (t trace) of(h http.Header) trace {
	if t.parent == "" {
		t.parent = givenTrace(h)
	}
	if t.parent == "" {
		t = trace{newTrace(), true}
	}
	return t
}

// again is that of another attempt: in a trace of the node's own each has a parent of its own, in a client's the parent is what the client did.
func (t trace) again() trace {
	if t.begun {
		t.parent = withParent(t.parent[:len("00-00000000000000000000000000000000-")])
	}
	return t
}

// validTraceParent: version 00 is exactly version, trace id, parent id and flags; a later version may go on after another dash.
func validTraceParent(s string) bool {
	if len(s) < 55 || len(s) > 256 || s[2] != '-' || s[35] != '-' || s[52] != '-' || s[:2] == "ff" ||
		(len(s) > 55 && (s[:2] == "00" || s[55] != '-')) {
		return false
	}
	for _, part := range [...]string{s[:2], s[3:35], s[36:52], s[53:55]} {
		if strings.Trim(part, "0123456789abcdef") != "" {
			return false
		}
	}
	for _, c := range []byte(s[55:]) {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return strings.Trim(s[3:35], "0") != "" && strings.Trim(s[36:52], "0") != ""
}

// fromXRay gives a trace that AWS's header names in W3C's form; "" when it names none, or no parent. AWS X-Ray developer guide,
// "Tracing header": Root=1-<8 hex>-<24 hex>;Parent=<16 hex>;Sampled=<0, 1 or ?>, in any order, among other fields.
func fromXRay(header string) string {
	var root, parent string
	flags := "00"
	for field := range strings.SplitSeq(header, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch name {
		case "Root":
			root = value
		case "Parent":
			parent = value
		case "Sampled":
			if value == "1" {
				flags = "01"
			}
		}
	}
	if len(root) != len("1-00000000-000000000000000000000000") || root[:2] != "1-" || root[10] != '-' {
		return ""
	}
	id := "00-" + root[2:10] + root[11:] + "-" + parent + "-" + flags
	if !validTraceParent(id) {
		return ""
	}
	return id
}
