// Package fault gives every error that a person or a client may see a kind, a message and a hint.
// It does not decide what a kind means on a wire: api and gateway map kinds to HTTP, cli maps them to exit codes.
package fault

import (
	"context"
	"errors"
	"fmt"
)

// Kind says what sort of error it is, and so what a caller can do about it.
type Kind uint8

const (
	Internal        Kind = iota // dalamb is at fault
	Invalid                     // the input is wrong; the same input will be wrong again
	NotFound                    // the thing named is not there
	Conflict                    // somebody else was first, or the state forbids it
	Unauthenticated             // who asks is not known
	Denied                      // who asks is known, and may not
	TooLarge                    // the input is over a size limit
	Exhausted                   // a bound is reached; later there may be room
	Unavailable                 // something needed is not there just now
	Timeout                     // it took too long
)

var names = [...]string{
	Internal: "internal", Invalid: "invalid", NotFound: "not found", Conflict: "conflict",
	Unauthenticated: "unauthenticated", Denied: "denied", TooLarge: "too large",
	Exhausted: "exhausted", Unavailable: "unavailable", Timeout: "timeout",
}

func (k Kind) String() string {
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// ParseKind is the inverse of Kind.String. An unknown name is Internal.
func ParseKind(s string) Kind {
	for k, n := range names {
		if n == s {
			return Kind(k)
		}
	}
	return Internal
}

// Error is an error for a person: what is wrong with which thing, and what to do next.
type Error struct {
	Kind    Kind
	Message string // names the thing and what is wrong with it, the cause included; no newline
	Hint    string // the next step; may be empty
	Err     error  // the cause; may be nil
}

func (e *Error) Error() string { return e.Message }

func (e *Error) Unwrap() error { return e.Err }

// New makes an Error of kind k. A %w verb in format keeps the cause for errors.Is and errors.As.
func New(k Kind, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Kind: k, Message: err.Error(), Err: errors.Unwrap(err)}
}

// WithHint returns a copy of e with the next step for the person who reads it.
func (e *Error) WithHint(format string, args ...any) *Error {
	c := *e
	c.Hint = fmt.Sprintf(format, args...)
	return &c
}

// KindOf returns the kind of the outermost Error in err's chain. A context's deadline is Timeout, its
// cancellation Unavailable; anything else is Internal.
func KindOf(err error) Kind {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e.Kind
	case errors.Is(err, context.DeadlineExceeded):
		return Timeout
	case errors.Is(err, context.Canceled):
		return Unavailable
	}
	return Internal
}

// HintOf returns the hint of the first Error in err's chain that has one, or "".
func HintOf(err error) string {
	var e *Error
	for errors.As(err, &e) {
		if e.Hint != "" {
			return e.Hint
		}
		err = e.Err
	}
	return ""
}

// Retryable says whether the same call may succeed later without any change by the caller.
func Retryable(err error) bool {
	switch KindOf(err) {
	case Exhausted, Unavailable, Timeout:
		return true
	}
	return false
}
