package wire

import (
	"net/http"

	"github.com/dalamb/dalamb/internal/fault"
)

// AWSError is AWS's body of an error.
type AWSError struct {
	Type    string `json:"Type"` // whose it is: User or Service
	Message string `json:"Message"`
}

// AWSErrorOf is the body of an error that is answered with a status.
func AWSErrorOf(status int, err error) AWSError {
	e := AWSError{Type: "User", Message: err.Error()}
	if status >= http.StatusInternalServerError {
		e.Type = "Service"
	}
	if hint := fault.HintOf(err); hint != "" {
		e.Message += "; " + hint
	}
	return e
}

// AWSStatus is the table of what kinds of errors are in AWS's Lambda API: its status, and the type that X-Amzn-Errortype names.
func AWSStatus(k fault.Kind) (status int, typ string) {
	switch k {
	case fault.Invalid:
		return http.StatusBadRequest, "InvalidParameterValueException"
	case fault.NotFound:
		return http.StatusNotFound, "ResourceNotFoundException"
	case fault.Conflict:
		return http.StatusConflict, "ResourceConflictException"
	case fault.Unauthenticated, fault.Denied:
		return http.StatusForbidden, "AccessDeniedException"
	case fault.TooLarge:
		return http.StatusRequestEntityTooLarge, "RequestTooLargeException"
	case fault.Exhausted:
		return http.StatusTooManyRequests, "TooManyRequestsException"
	case fault.Unavailable, fault.Timeout:
		return http.StatusServiceUnavailable, "ServiceException"
	}
	return http.StatusInternalServerError, "ServiceException"
}
