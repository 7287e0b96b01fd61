package aws

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

// refusal is an error that AWS has a status and a type of its own for.
type refusal struct {
	status int
	typ    string
	err    error
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

func incomplete(message string) error {
	return &refusal{http.StatusBadRequest, "IncompleteSignatureException", fault.New(fault.Invalid, "%s", message)}
}

func invalid(message string) error {
	return &refusal{http.StatusForbidden, "InvalidSignatureException", fault.New(fault.Unauthenticated, "%s", message)}
}

// mismatch says in AWS's words that a signature is not the one that the request has.
func mismatch() error {
	return invalid("The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method.")
}

func unrecognized() error {
	return &refusal{http.StatusForbidden, "UnrecognizedClientException", fault.New(fault.Unauthenticated, "The security token included in the request is invalid.").
		WithHint("dalamb token ls lists the access keys that there are")}
}

func expired(who access.Actor) error {
	return &refusal{http.StatusForbidden, "ExpiredTokenException", fault.New(fault.Unauthenticated, "The security token included in the request is expired: the access key %s was good until %s.", who.ID, who.Expires.UTC().Format(time.RFC3339)).
		WithHint("ask for a new one: dalamb token remove %s, then dalamb token create %[1]s --aws", who.ID)}
}

// precondition refuses a revision id that is not the newest one.
func precondition(what string) error {
	return &refusal{http.StatusPreconditionFailed, "PreconditionFailedException",
		fault.New(fault.Conflict, "The Revision Id provided does not match the latest Revision Id. Call the %s API to retrieve the latest Revision Id", what)}
}

// absent is the answer to an operation that AWS has and dalamb has not.
func absent(o operation) error {
	return &refusal{http.StatusNotImplemented, "NotImplementedException",
		fault.New(fault.Invalid, "%s is not there: %s", o.Name, o.Note).WithHint("docs/aws.md lists the operations that are")}
}

func badValue(format string, args ...any) *fault.Error {
	return fault.New(fault.Invalid, format, args...)
}

// writeError answers with an error in AWS's form.
func writeError(w http.ResponseWriter, err error) {
	status, typ := wire.AWSStatus(fault.KindOf(err))
	if r, ok := errors.AsType[*refusal](err); ok {
		status, typ = r.status, r.typ
	}
	w.Header().Set("X-Amzn-Errortype", typ)
	writeJSON(w, status, wire.AWSErrorOf(status, err))
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	if v == nil {
		w.WriteHeader(status)
		return
	}
	b, err := json.Marshal(v)
	if err != nil {
		status, b = http.StatusInternalServerError, []byte(`{"Type":"Service","Message":"the answer cannot be encoded"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(b) // the client may be gone, and nobody else wants to know
}
