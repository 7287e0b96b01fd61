package match

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// parseWildcard splits a wildcard at its stars. One part means there is no star; the text of a part is literal.
func parseWildcard(s string) ([]string, error) {
	var parts []string
	var part strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '\\':
			i++
			if i == len(s) || s[i] != '*' && s[i] != '\\' {
				return nil, errors.New(`a backslash stands only before * or another backslash`)
			}
			part.WriteByte(s[i])
		case '*':
			if i > 0 && s[i-1] == '*' && part.Len() == 0 && len(parts) > 0 {
				return nil, errors.New(`** is not allowed; one * already is any text`)
			}
			parts = append(parts, part.String())
			part.Reset()
			if len(parts) > maxStars {
				return nil, fmt.Errorf("more than %d wildcards in one value", maxStars)
			}
		default:
			part.WriteByte(c)
		}
	}
	return append(parts, part.String()), nil
}

// matchWildcard takes each inner part at its first place; what is left of it can only be longer than elsewhere.
func matchWildcard(parts []string, v []byte) bool {
	first, last := parts[0], parts[len(parts)-1]
	if len(parts) == 1 {
		return string(v) == first
	}
	if len(v) < len(first)+len(last) || string(v[:len(first)]) != first || string(v[len(v)-len(last):]) != last {
		return false
	}
	v = v[len(first) : len(v)-len(last)]
	for _, p := range parts[1 : len(parts)-1] {
		i := indexOf(v, p)
		if i < 0 {
			return false
		}
		v = v[i+len(p):]
	}
	return true
}

func indexOf(v []byte, part string) int {
	if part == "" {
		return 0
	}
	for at := 0; ; {
		i := bytes.IndexByte(v[at:], part[0])
		if i < 0 || len(v)-at-i < len(part) {
			return -1
		}
		at += i
		if string(v[at:at+len(part)]) == part {
			return at
		}
		at++
	}
}

// appendFold appends v with every rune replaced by the least of those that Unicode folds together.
func appendFold(dst, v []byte) []byte {
	for i := 0; i < len(v); {
		if c := v[i]; c < utf8.RuneSelf {
			if c >= 'a' && c <= 'z' {
				c -= 'a' - 'A'
			}
			dst = append(dst, c)
			i++
			continue
		}
		r, n := utf8.DecodeRune(v[i:])
		least := r
		for o := unicode.SimpleFold(r); o != r; o = unicode.SimpleFold(o) {
			least = min(least, o)
		}
		dst = utf8.AppendRune(dst, least)
		i += n
	}
	return dst
}
