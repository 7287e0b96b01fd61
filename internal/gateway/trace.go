package gateway

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"strings"
)

// traceParent is the trace that a request belongs to: the client's, also in AWS's form, or else a new one. W3C Trace Context,
// section 3.2.
func traceParent(h http.Header) string {
	if v := h["Traceparent"]; len(v) == 1 && validTraceParent(v[0]) {
		return v[0]
	}
	if v := h["X-Amzn-Trace-Id"]; len(v) == 1 {
		if id := fromXRay(v[0]); id != "" {
			return id
		}
	}
	var b [24]byte
	rand.Read(b[:]) // never fails: it ends the process instead
	b[0] |= 1       // neither id may be all zero
	b[16] |= 1
	var s [55]byte
	copy(s[:], "00-")
	hex.Encode(s[3:35], b[:16])
	s[35] = '-'
	hex.Encode(s[36:52], b[16:])
	copy(s[52:], "-00") // not sampled: whoever samples decides
	return string(s[:])
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
