package gateway

import (
	"net/http"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// maxIdempotencyKey bounds a key, in bytes; the best known services have the same bound.
const maxIdempotencyKey = 255

// idempotencyKeyOf is the key of a request; "" = it has none. The draft has it quoted, a string of structured fields (RFC 9651, section 3.3.3); nearly
// all clients send it bare. Both are the same key.
func idempotencyKeyOf(h http.Header) (string, error) {
	given := h[function.HeaderIdempotencyKey]
	if given == nil {
		return "", nil
	}
	key, ok := "", false
	if len(given) == 1 {
		key, ok = bareKey(given[0])
	}
	if !ok || key == "" || len(key) > maxIdempotencyKey {
		return "", fault.New(fault.Invalid, "the header %s holds no key", function.HeaderIdempotencyKey).
			WithHint("one text of visible ASCII without commas, such as a UUID, or any ASCII in double quotes; at most %d bytes", maxIdempotencyKey)
	}
	return key, nil
}

// bareKey takes the quotes off a key that has them.
func bareKey(s string) (key string, ok bool) {
	s = strings.Trim(s, " \t")
	if !strings.HasPrefix(s, `"`) {
		return s, !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' || c == ',' || c == '"' })
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '"':
			return b.String(), i == len(s)-1
		case c == '\\':
			if i++; i == len(s) || s[i] != '"' && s[i] != '\\' {
				return "", false
			}
			c = s[i]
		case c < ' ' || c > '~':
			return "", false
		}
		b.WriteByte(c)
	}
	return "", false
}
