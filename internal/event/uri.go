package event

import (
	"fmt"
	"strings"
)

// The rules here are RFC 3986's, which net/url does not enforce: it takes spaces, raw Unicode and stray percent signs.

// badURIReference says what keeps s from being a URI-reference, or "". RFC 3986, section 4.1.
func badURIReference(s string) string {
	if reason := badURIChars(s); reason != "" {
		return reason
	}
	scheme, rest, absolute := cutScheme(s)
	if absolute && !validScheme(scheme) {
		return fmt.Sprintf("%q is not a URI-reference: %q before the colon is no scheme", clip(s), clip(scheme))
	}
	if reason := badAuthority(rest); reason != "" {
		return fmt.Sprintf("%q is not a URI-reference: %s", clip(s), reason)
	}
	return ""
}

// badURI is badURIReference for a URI with a scheme. A fragment is let through, although RFC 3986 section 4.3 excludes it,
// because schemas are commonly named by one.
func badURI(s string) string {
	if reason := badURIReference(s); reason != "" {
		return reason
	}
	if _, _, absolute := cutScheme(s); !absolute {
		return fmt.Sprintf("%q is not an absolute URI", clip(s))
	}
	return ""
}

func badURIChars(s string) string {
	fragment := false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '%':
			if i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
				return fmt.Sprintf("%q is not a URI-reference: %% must be followed by two hexadecimal digits", clip(s))
			}
			i += 2
		case c == '#':
			if fragment {
				return fmt.Sprintf("%q is not a URI-reference: it has two fragments", clip(s))
			}
			fragment = true
		case strings.IndexByte("/-._~:?[]@!$&'()*+,;=", c) < 0:
			return fmt.Sprintf("%q is not a URI-reference: %q must be percent-encoded", clip(s), firstRune(s[i:]))
		}
	}
	return ""
}

// cutScheme splits at the first colon when nothing before it ends a first segment.
func cutScheme(s string) (scheme, rest string, ok bool) {
	if i := strings.IndexAny(s, ":/?#"); i >= 0 && s[i] == ':' {
		return s[:i], s[i+1:], true
	}
	return "", s, false
}

func validScheme(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		letter := 'a' <= c && c <= 'z'
		if !letter && (i == 0 || strings.IndexByte("0123456789+-.", s[i]) < 0) {
			return false
		}
	}
	return s != ""
}

func badAuthority(rest string) string {
	authority, found := strings.CutPrefix(rest, "//")
	if !found {
		authority = ""
	} else if i := strings.IndexAny(authority, "/?#"); i >= 0 {
		authority = authority[:i]
	}
	if strings.Count(rest, "[")+strings.Count(rest, "]") != strings.Count(authority, "[")+strings.Count(authority, "]") {
		return "square brackets must be percent-encoded outside of an address"
	}
	host := authority[strings.LastIndexByte(authority, '@')+1:]
	if strings.ContainsAny(authority[:len(authority)-len(host)], "[]") {
		return "square brackets must be percent-encoded outside of an address"
	}
	if strings.HasPrefix(host, "[") {
		end := strings.IndexByte(host, ']')
		if end < 0 || strings.Contains(host[1:end], "[") {
			return "the address in square brackets does not end"
		}
		host = host[end+1:]
		if host != "" && host[0] != ':' {
			return "only a port may follow the address in square brackets"
		}
	}
	name, port, _ := strings.Cut(host, ":")
	if strings.ContainsAny(name, "[]") || strings.Trim(port, "0123456789") != "" {
		return "the host or port is malformed"
	}
	return ""
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

func firstRune(s string) string {
	for _, r := range s {
		return string(r)
	}
	return ""
}
