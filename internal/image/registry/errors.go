package registry

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

// Codes of errors: distribution-spec 1.1, "Error Codes".
const (
	codeBlobUnknown         = "BLOB_UNKNOWN"
	codeUploadInvalid       = "BLOB_UPLOAD_INVALID"
	codeUploadUnknown       = "BLOB_UPLOAD_UNKNOWN"
	codeDenied              = "DENIED"
	codeDigestInvalid       = "DIGEST_INVALID"
	codeManifestBlobUnknown = "MANIFEST_BLOB_UNKNOWN"
	codeManifestInvalid     = "MANIFEST_INVALID"
	codeManifestUnknown     = "MANIFEST_UNKNOWN"
	codeNameInvalid         = "NAME_INVALID"
	codeNameUnknown         = "NAME_UNKNOWN"
	codeSizeInvalid         = "SIZE_INVALID"
	codeUnauthorized        = "UNAUTHORIZED"
	codeUnsupported         = "UNSUPPORTED"
	codeTooMany             = "TOOMANYREQUESTS"
	// Not in the specification, which has no code for these; the words are those of the registry that most people run.
	codeUnavailable = "UNAVAILABLE"
	codeUnknown     = "UNKNOWN"
)

// refusal is an error with its code.
type refusal struct {
	code   string
	status int // 0 = that of the kind
	err    error
}

func (e *refusal) Error() string { return e.err.Error() }

func (e *refusal) Unwrap() error { return e.err }

func refuse(code string, k fault.Kind, format string, args ...any) *refusal {
	return &refusal{code: code, err: fault.New(k, format, args...)}
}

// hint returns e with the next step for the person who reads it.
func (e *refusal) hint(format string, args ...any) *refusal {
	var f *fault.Error
	if errors.As(e.err, &f) {
		e.err = f.WithHint(format, args...)
	}
	return e
}

// as gives err a code where it is the client's doing; what is not keeps the code of its kind.
func as(code string, err error) error {
	switch fault.KindOf(err) {
	case fault.Invalid, fault.NotFound, fault.Conflict, fault.TooLarge:
		return &refusal{code: code, err: err}
	}
	return err
}

// wireError is one of the errors in an answer.
type wireError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Detail  string `json:"detail,omitempty"` // the next step
}

// fail is the top of a request: the only place that logs its error, and only when dalamb is at fault.
func (g *Registry) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil && errors.Is(err, context.Canceled) {
		return // nobody is there to read it
	}
	k := fault.KindOf(err)
	if k == fault.Internal {
		g.logger.Error("image request", "method", r.Method, "path", r.URL.Path, "err", err)
	}
	out, status := wireError{Code: codeOf(k), Message: err.Error(), Detail: fault.HintOf(err)}, wire.Status(k)
	var known *refusal
	if errors.As(err, &known) {
		out.Code = known.code
		if known.status != 0 {
			status = known.status
		}
	}
	if out.Detail != "" {
		out.Message += ": " + out.Detail // docker, podman and skopeo show the message alone
	}
	writeJSON(w, status, map[string][]wireError{"errors": {out}})
}

func codeOf(k fault.Kind) string {
	switch k {
	case fault.Exhausted:
		return codeTooMany
	case fault.Unavailable, fault.Timeout:
		return codeUnavailable
	}
	return codeUnknown
}

// writeJSON ignores errors of the connection: the client is gone, and nobody else wants to know.
func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		status, b = http.StatusInternalServerError, []byte(`{"errors":[{"code":"UNKNOWN","message":"the answer cannot be encoded"}]}`)
	}
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(status)
	_, _ = w.Write(b)
}
