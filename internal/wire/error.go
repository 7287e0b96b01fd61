// Package wire owns the JSON of the control API, shared by the server, the Go client and the console, and the one table from
// kinds of errors to HTTP statuses. It does not serve or call anything.
//
// Every field has a json name in lower camel case. Times are RFC 3339, durations Go's text form, sizes a number with an optional
// binary unit.
package wire

import (
	"net/http"

	"github.com/dalamb/dalamb/internal/fault"
)

// ErrorBody is the body of every answer whose status is 400 or above.
type ErrorBody struct {
	Error Error `json:"error"`
}

// Error is a fault.Error on the wire.
type Error struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	// Problems are what is wrong with a request to a route, one by one, where the route holds it against a document.
	Problems []Problem `json:"problems,omitempty"`
}

// Problem is one thing that is wrong with a request.
type Problem struct {
	In      string `json:"in,omitempty"`      // path, query, header, cookie or body
	Name    string `json:"name,omitempty"`    // of the parameter
	Pointer string `json:"pointer,omitempty"` // in the body, or in the parameter's value; RFC 6901
	Message string `json:"message"`
}

// TokenChallenge is the WWW-Authenticate of an answer that refuses a request for its token. RFC 6750, section 3.
const TokenChallenge = `Bearer realm="dalamb"`

// ErrorOf gives err its shape on the wire.
func ErrorOf(err error) ErrorBody {
	return ErrorBody{Error{Kind: fault.KindOf(err).String(), Message: err.Error(), Hint: fault.HintOf(err)}}
}

// Fault is the inverse of ErrorOf.
func (e Error) Fault() *fault.Error {
	return &fault.Error{Kind: fault.ParseKind(e.Kind), Message: e.Message, Hint: e.Hint}
}

// Status is the HTTP status of an error's kind.
func Status(k fault.Kind) int {
	switch k {
	case fault.Invalid:
		return http.StatusBadRequest
	case fault.NotFound:
		return http.StatusNotFound
	case fault.Conflict:
		return http.StatusConflict
	case fault.Unauthenticated:
		return http.StatusUnauthorized
	case fault.Denied:
		return http.StatusForbidden
	case fault.TooLarge:
		return http.StatusRequestEntityTooLarge
	case fault.Exhausted:
		return http.StatusTooManyRequests
	case fault.Unavailable:
		return http.StatusServiceUnavailable
	case fault.Timeout:
		return http.StatusGatewayTimeout
	}
	return http.StatusInternalServerError
}

// KindOf is the kind of an answer that has a status but no ErrorBody, as from a proxy in between.
func KindOf(status int) fault.Kind {
	for k := fault.Internal; k <= fault.Timeout; k++ {
		if Status(k) == status {
			return k
		}
	}
	if status >= 400 && status < 500 {
		return fault.Invalid
	}
	return fault.Internal
}
