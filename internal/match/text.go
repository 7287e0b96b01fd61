package match

import (
	"encoding/binary"
	"math/bits"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// What scanString saw besides plain ASCII.
const (
	sawEscape = 1 << iota
	sawHigh   // a byte over 0x7f: the text may not be UTF-8
)

const (
	eachByte = 0x0101010101010101
	highBits = 0x8080808080808080
)

// scanString finds the closing quote of the string whose content begins at i; -1 = it is not valid.
func scanString(data []byte, i int) (end int, saw int) {
	for {
		// Eight bytes at once: the lowest bit set in stop is exact, those above it may be carried over.
		for i+8 <= len(data) {
			w := binary.LittleEndian.Uint64(data[i:])
			quote, slash := w^(eachByte*'"'), w^(eachByte*'\\')
			stop := ((quote-eachByte)&^quote | (slash-eachByte)&^slash | (w-eachByte*0x20)&^w) & highBits
			if w&highBits != 0 {
				saw |= sawHigh
			}
			if stop != 0 {
				i += bits.TrailingZeros64(stop) / 8
				break
			}
			i += 8
		}
		if i >= len(data) {
			return -1, saw
		}
		switch c := data[i]; {
		case c == '"':
			return i, saw
		case c == '\\':
			saw |= sawEscape
			n := escapeLen(data[i:])
			if n == 0 {
				return -1, saw
			}
			i += n
		case c < 0x20:
			return -1, saw
		default:
			if c >= utf8.RuneSelf {
				saw |= sawHigh
			}
			i++
		}
	}
}

// escapeLen is the length of the escape that s begins with; 0 = it is not valid.
func escapeLen(s []byte) int {
	if len(s) < 2 {
		return 0
	}
	switch s[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if hex4(s[2:]) >= 0 {
			return 6
		}
	}
	return 0
}

func hex4(s []byte) rune {
	if len(s) < 4 {
		return -1
	}
	var r rune
	for _, c := range s[:4] {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return -1
		}
	}
	return r
}

// appendText appends the content of a valid JSON string, unescaped. What is not UTF-8 or half of a surrogate pair becomes
// U+FFFD, as in encoding/json.
func appendText(dst, s []byte) []byte {
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '\\' && s[i+1] == 'u':
			r := hex4(s[i+2:])
			i += 6
			if utf16.IsSurrogate(r) {
				low := rune(-1)
				if i+6 <= len(s) && s[i] == '\\' && s[i+1] == 'u' {
					low = hex4(s[i+2:])
				}
				if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
					i += 6
				}
			}
			dst = utf8.AppendRune(dst, r)
		case c == '\\':
			dst = append(dst, unescape(s[i+1]))
			i += 2
		case c < utf8.RuneSelf:
			dst = append(dst, c)
			i++
		default:
			r, n := utf8.DecodeRune(s[i:])
			dst = utf8.AppendRune(dst, r)
			i += n
		}
	}
	return dst
}

func unescape(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}

// scanNumber returns the end of the number that begins at i; -1 = it is not valid. RFC 8259, section 6.
func scanNumber(data []byte, i int) int {
	if i < len(data) && data[i] == '-' {
		i++
	}
	switch {
	case i >= len(data):
		return -1
	case data[i] == '0':
		i++
	default:
		if i = digits(data, i); i < 0 {
			return -1
		}
	}
	if i < len(data) && data[i] == '.' {
		if i = digits(data, i+1); i < 0 {
			return -1
		}
	}
	if i < len(data) && data[i]|0x20 == 'e' {
		i++
		if i < len(data) && (data[i] == '+' || data[i] == '-') {
			i++
		}
		return digits(data, i)
	}
	return i
}

// digits returns the end of one or more digits at i, or -1.
func digits(data []byte, i int) int {
	start := i
	for i < len(data) && data[i]-'0' <= 9 {
		i++
	}
	if i == start {
		return -1
	}
	return i
}

// number converts a valid JSON number. One past the range is an infinity, so that it still compares.
func number(s []byte) float64 {
	if len(s) <= 15 { // every integer of 15 digits is exact in a double
		var n int64
		for i, c := range s {
			switch {
			case c-'0' <= 9:
				n = n*10 + int64(c-'0')
			case c == '-' && i == 0:
			default:
				f, _ := strconv.ParseFloat(string(s), 64)
				return f
			}
		}
		if s[0] == '-' {
			n = -n
		}
		return float64(n)
	}
	f, _ := strconv.ParseFloat(string(s), 64)
	return f
}
