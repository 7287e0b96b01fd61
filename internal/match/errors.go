package match

import (
	"errors"
	"fmt"
	"strings"
)

// PatternError says what is wrong with a pattern, and where.
type PatternError struct {
	Path     string // dotted path of the field; "" = the pattern as a whole
	Operator string // the operator that is wrong; "" = none is
	Reason   string // what is wrong, and what would be right
}

// Error names path, operator and reason.
func (e *PatternError) Error() string {
	var b strings.Builder
	b.WriteString("pattern")
	if e.Path != "" {
		fmt.Fprintf(&b, ": field %q", e.Path)
	}
	if e.Operator != "" {
		fmt.Fprintf(&b, ": operator %q", e.Operator)
	}
	b.WriteString(": ")
	b.WriteString(e.Reason)
	return b.String()
}

// ErrNotObject is returned for input that is not one JSON object.
var ErrNotObject = errors.New("not a JSON object")
