package gateway

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// answered says whether a result is an answer to a client: what succeeded, and what an http function said of a failure
// with a status of its own.
func answered(r *function.Result) bool {
	return r.Outcome == function.Succeeded || r.Outcome == function.Failed && r.Header != nil
}

// passable says whether a status can be a client's: an interim one is no answer, and net/http would end the program's turn there.
func passable(status int) bool { return status >= 200 && status <= 599 }

// answer passes a function's answer on.
func answer(x *exchange, r *http.Request, res *function.Result) {
	status := res.Status
	if status == 0 {
		status = http.StatusOK
	}
	if !passable(status) {
		failure(x, &function.Result{Outcome: function.BadAnswer, Failure: &function.Failure{
			Type: "Function.InvalidResponse", Message: "the function answered with status " + strconv.Itoa(status)}}, false)
		return
	}
	h := x.Header()
	x.passHeader(res.Header)
	bare := r.Method == http.MethodHead || status == http.StatusNotModified
	if !bare || !digits(h.Get("Content-Length")) {
		delete(h, "Content-Length") // what the function says of its length holds only where the body itself is not sent
	}
	switch {
	case status == http.StatusNoContent || bare:
		x.WriteHeader(status)
		return
	case h["Content-Type"] == nil && res.Header == nil && len(res.Body) > 0:
		h["Content-Type"] = []string{contentType(res.Body)}
	case h["Content-Type"] == nil:
		h["Content-Type"] = nil // the function did not say, and guessing makes web pages of uploads
	}
	h["Content-Length"] = []string{strconv.Itoa(len(res.Body))}
	x.WriteHeader(status)
	if len(res.Body) > 0 {
		_, _ = x.Write(res.Body) // a client that is gone cannot be told
	}
}

func digits(s string) bool {
	return s != "" && len(s) < 19 && strings.Trim(s, "0123456789") == ""
}

// contentType names the answer of a function that has no way to say what it is.
func contentType(b []byte) string {
	switch {
	case !utf8.Valid(b):
		return "application/octet-stream"
	case validJSON(b):
		return "application/json"
	}
	return "text/plain; charset=utf-8"
}

// failure answers for a function that gave no answer: 504 when its time was up, else 502. Who showed the token gets the
// error as the function put it; an open route tells no more than the kind, because messages and stack traces name files and data.
func failure(x *exchange, res *function.Result, trusted bool) {
	status, message := failureOf(res.Outcome)
	if res.Failure != nil && (trusted || res.Failure.Type == refusedEvent) {
		if trusted {
			writeJSON(x, status, showable(res.Failure))
			return
		}
		message = res.Failure.Message
	}
	kind := fault.Unavailable
	if status == http.StatusGatewayTimeout {
		kind = fault.Timeout
	}
	writeJSON(x, status, wire.ErrorOf(inGeneral(kind, message)))
}

// failureOf is what a client is told of a function that gave no answer.
func failureOf(outcome function.Outcome) (status int, message string) {
	switch outcome {
	case function.TimedOut:
		return http.StatusGatewayTimeout, "the function took too long"
	case function.InitError:
		return http.StatusBadGateway, "the function could not start"
	case function.Crashed, function.OOM:
		return http.StatusBadGateway, "the function ended before it answered"
	case function.BadAnswer:
		return http.StatusBadGateway, "the function's answer cannot be passed on"
	}
	return http.StatusBadGateway, "the function failed"
}

func inGeneral(kind fault.Kind, message string) error {
	return fault.New(kind, "%s", message).WithHint("%s", theFunction.hint())
}

// discreet is what a client is told of an error. That the node could not start the function is told in general where nobody has shown the
// token: the words name keys, files and registries, and the fleet has logged them.
func discreet(err error, trusted bool) error {
	var start *fleet.StartError
	if trusted || !errors.As(err, &start) {
		return err
	}
	return inGeneral(fault.KindOf(err), "the function could not start")
}
