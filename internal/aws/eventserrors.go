package aws

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/dalamb/dalamb/internal/fault"
)

// eventsError is the body of an error in AWS JSON 1.1.
type eventsError struct {
	Type    string `json:"__type"`
	Message string `json:"message"`
}

// eventsStatus is the table of what kinds of errors are in EventBridge's API. Amazon EventBridge API reference, "Common Errors".
func eventsStatus(k fault.Kind) (status int, typ string) {
	switch k {
	case fault.Invalid, fault.TooLarge:
		return http.StatusBadRequest, "ValidationException"
	case fault.NotFound:
		return http.StatusBadRequest, "ResourceNotFoundException"
	case fault.Conflict:
		return http.StatusBadRequest, "ConcurrentModificationException"
	case fault.Unauthenticated, fault.Denied:
		return http.StatusBadRequest, "AccessDeniedException"
	case fault.Exhausted:
		return http.StatusBadRequest, "LimitExceededException"
	case fault.Unavailable, fault.Timeout:
		return http.StatusServiceUnavailable, "ServiceUnavailable"
	}
	return http.StatusInternalServerError, "InternalException"
}

func writeEventsError(w http.ResponseWriter, err error) {
	status, typ := eventsStatus(fault.KindOf(err))
	if r, ok := errors.AsType[*refusal](err); ok {
		status, typ = r.status, r.typ
	}
	w.Header().Set("X-Amzn-Errortype", typ)
	writeEvents(w, status, eventsError{typ, messageOf(err)})
}

// messageOf is an error for a person, with what to do about it.
func messageOf(err error) string {
	if hint := fault.HintOf(err); hint != "" {
		return err.Error() + "; " + hint
	}
	return err.Error()
}

func writeEvents(w http.ResponseWriter, status int, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"__type":"InternalException","message":"the answer cannot be encoded"}`)
	}
	w.Header().Set("Content-Type", jsonProtocol)
	w.WriteHeader(status)
	_, _ = w.Write(text) // the client may be gone, and nobody else wants to know
}

// ofType is an error that EventBridge has a type of its own for.
func ofType(typ string, err error) error { return &refusal{http.StatusBadRequest, typ, err} }

func badPattern(format string, args ...any) error {
	return ofType("InvalidEventPatternException", fault.New(fault.Invalid, "Event pattern is not valid. Reason: "+format, args...))
}

// absent is the answer to an operation that EventBridge has and dalamb has not, and to one that nobody has.
func (o *eventsOperation) absent() error {
	if o.Note == "" {
		return ofType("UnknownOperationException", fault.New(fault.NotFound, "%q is no operation of EventBridge's API here", o.Name).WithHint("docs/aws.md lists the operations"))
	}
	return &refusal{http.StatusNotImplemented, "NotImplementedException", fault.New(fault.Invalid, "%s is not there: %s", o.Name, o.Note).WithHint("docs/aws.md lists the operations that are")}
}
