// Package mock owns the answers that stand in for a service: those that an OpenAPI document makes up, and those that a function has given before. It does
// not listen, does not read documents or logs, and asks no function.
package mock

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/openapi"
	"github.com/dalamb/dalamb/internal/wire"
)

// maxBody is how long the body of a request may be.
const maxBody = 6 << 20

// FromHeader says of an answer where it is from.
const FromHeader = "Dalamb-Mock"

// Documented answers from a document, and refuses what the document does not know. A request chooses with Prefer: code=404, example=NAME.
func Documented(d *openapi.Document) http.Handler {
	return open(func(w http.ResponseWriter, r *http.Request) error {
		m, allowed := d.Find(r.Method, r.URL.EscapedPath())
		if m == nil {
			f := fault.New(fault.Invalid, "%s %s is not in the document", r.Method, fault.Clip(r.URL.Path))
			if len(allowed) > 0 {
				f = f.WithHint("it has %s for that path", strings.Join(allowed, ", "))
			}
			return f
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			return unread(err)
		}
		if faults := m.CheckRequest(r, body); len(faults) > 0 {
			return &refused{faults}
		}
		wanted, err := preferred(r.Header)
		if err != nil {
			return err
		}
		made, err := m.Answer(wanted)
		if err != nil {
			return err
		}
		if made.Type != "" {
			w.Header().Set("Content-Type", made.Type)
		}
		w.Header().Set(FromHeader, m.Method+" "+m.Path)
		w.WriteHeader(made.Status)
		_, _ = w.Write(made.Body) // a client that is gone cannot be told
		return nil
	})
}

func unread(err error) error {
	if _, is := errors.AsType[*http.MaxBytesError](err); is {
		return fault.New(fault.TooLarge, "the request's body is larger than %d bytes", maxBody)
	}
	return fault.New(fault.Invalid, "read the request's body: %w", err)
}

// preferred reads what a request wants. RFC 7240; names and meanings are those that other mocks have.
func preferred(h http.Header) (w openapi.Wanted, err error) {
	for _, value := range h["Prefer"] {
		for part := range strings.FieldsFuncSeq(value, func(r rune) bool { return r == ',' || r == ';' }) {
			name, v, _ := strings.Cut(strings.TrimSpace(part), "=")
			v = strings.Trim(v, `"`)
			switch strings.ToLower(strings.TrimSpace(name)) {
			case "code", "status":
				if w.Status, err = strconv.Atoi(v); err != nil || w.Status < 200 || w.Status > 599 {
					return w, fault.New(fault.Invalid, "Prefer: code=%s is no status", fault.Clip(v)).WithHint("such as Prefer: code=404")
				}
			case "example":
				w.Example = v
			}
		}
	}
	return w, nil
}

// refused is what is wrong with a request.
type refused struct{ faults []openapi.Fault }

func (r *refused) Error() string {
	texts := make([]string, len(r.faults))
	for i, f := range r.faults {
		texts[i] = f.String()
	}
	return strings.Join(texts, "; ")
}

func (r *refused) Unwrap() error { return fault.New(fault.Invalid, "%s", r.Error()) }

// open serves pages of every origin, and answers an error in the shape in which a gateway does.
func open(serve func(w http.ResponseWriter, r *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Access-Control-Expose-Headers", "*")
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			h.Set("Access-Control-Allow-Methods", r.Header.Get("Access-Control-Request-Method"))
			h.Set("Access-Control-Allow-Headers", r.Header.Get("Access-Control-Request-Headers"))
			w.WriteHeader(http.StatusNoContent)
			return
		}
		if err := serve(w, r); err != nil {
			fail(w, err)
		}
	})
}

func fail(w http.ResponseWriter, err error) {
	body := wire.ErrorOf(err)
	if r, is := errors.AsType[*refused](err); is {
		for _, f := range r.faults {
			body.Error.Problems = append(body.Error.Problems, wire.Problem{In: f.In, Name: f.Name, Pointer: f.Pointer, Message: f.Message})
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(wire.Status(fault.KindOf(err)))
	_ = json.NewEncoder(w).Encode(body) // a client that is gone cannot be told
}
