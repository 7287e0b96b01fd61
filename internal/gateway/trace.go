package gateway

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"strings"
)

// traceParent is the trace that a request belongs to: the client's, or else a new one. W3C Trace Context, section 3.2.
func traceParent(h http.Header) string {
	if v := h["Traceparent"]; len(v) == 1 && validTraceParent(v[0]) {
		return v[0]
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
