package openapi

import (
	"regexp/syntax"
	"strings"
	"unicode/utf8"
)

// textOf makes up a text that a schema takes: of its format, of its pattern, of its length.
func textOf(s map[string]any) string {
	format, _ := s["format"].(string)
	if text := formatted(format); text != "" {
		return text
	}
	text := "text"
	if pattern, is := s["pattern"].(string); is {
		if parsed, err := syntax.Parse(pattern, syntax.Perl); err == nil {
			var b strings.Builder
			match(&b, parsed.Simplify())
			text = b.String()
		}
	} else if most := whole(s["maxLength"], len(text)); most < len(text) {
		text = text[:max(0, most)]
	}
	if short := min(maxMadeLength, whole(s["minLength"], 0)) - utf8.RuneCountInString(text); short > 0 {
		text += strings.Repeat("x", short)
	}
	return text
}

func formatted(format string) string {
	switch format {
	case "date-time":
		return "2026-01-01T12:00:00Z"
	case "date":
		return "2026-01-01"
	case "time":
		return "12:00:00Z"
	case "duration":
		return "PT1M"
	case "uuid":
		return "00000000-0000-4000-8000-000000000001"
	case "email":
		return "someone@example.com"
	case "uri", "iri", "uri-reference", "iri-reference":
		return "https://example.com/"
	case "hostname":
		return "example.com"
	case "ipv4":
		return "192.0.2.1"
	case "ipv6":
		return "2001:db8::1"
	case "byte":
		return "dGV4dA=="
	}
	return ""
}

// match writes the shortest text that a pattern fits.
func match(b *strings.Builder, re *syntax.Regexp) {
	if b.Len() > maxMadeLength {
		return
	}
	switch re.Op {
	case syntax.OpLiteral:
		b.WriteString(string(re.Rune))
	case syntax.OpCharClass:
		if len(re.Rune) > 0 {
			b.WriteRune(readableOf(re.Rune))
		}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteByte('x')
	case syntax.OpCapture, syntax.OpConcat:
		for _, sub := range re.Sub {
			match(b, sub)
		}
	case syntax.OpAlternate, syntax.OpPlus:
		match(b, re.Sub[0])
	case syntax.OpRepeat:
		for range re.Min {
			match(b, re.Sub[0])
		}
	}
}

// readableOf is a character of a class: a letter or a digit, where it has one.
func readableOf(ranges []rune) rune {
	for _, want := range "aA1" {
		for i := 0; i+1 < len(ranges); i += 2 {
			if ranges[i] <= want && want <= ranges[i+1] {
				return want
			}
		}
	}
	return ranges[0]
}
