package api

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"unicode/utf8"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// Source of all of this: AWS Lambda API reference, Invoke (2015-03-31).
const (
	maxClientContext = 3583 // bytes of base64
	maxKey           = 256  // bytes of Dalamb-Key, which is the key of an asynchronous call's event
)

var awsPath = regexp.MustCompile(`^/20\d\d-\d\d-\d\d/`)

// isAWS says whether an answer has AWS's form: paths of its API begin with its version, which is a date.
func isAWS(r *http.Request) bool { return awsPath.MatchString(r.URL.Path) }

// Signed serves calls of functions by AWS's API for who is known by a signature, or by a token that was looked at: the requests' contexts say who.
func (a *API) Signed() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isAWS(r) {
			a.refuse(w, r, fault.New(fault.Unauthenticated, "only calls of functions are signed").WithHint(notKnown))
			return
		}
		a.mux.ServeHTTP(w, r)
	})
}

func (a *API) invoke(w http.ResponseWriter, r *http.Request, q query) error {
	c, err := a.parseInvoke(r, q)
	if err != nil {
		return err
	}
	w.Header().Set("X-Amzn-Requestid", c.ID)
	switch kind := r.Header.Get("X-Amz-Invocation-Type"); kind {
	case "", "RequestResponse":
		return a.invokeNow(w, r, c)
	case "Event":
		if err := a.invokeLater(r, c); err != nil {
			return err
		}
		w.WriteHeader(http.StatusAccepted)
		return nil
	case "DryRun":
		w.WriteHeader(http.StatusNoContent)
		return nil
	default:
		return fault.New(fault.Invalid, "X-Amz-Invocation-Type: %q is not known", kind).WithHint("RequestResponse, Event or DryRun")
	}
}

// parseInvoke reads what is asked and checks that it can be done; a DryRun ends there.
func (a *API) parseInvoke(r *http.Request, q query) (Call, error) {
	c := Call{ID: event.NewID(), ClientContext: r.Header.Get("X-Amz-Client-Context")}
	if len(c.ClientContext) > maxClientContext {
		return c, fault.New(fault.Invalid, "X-Amz-Client-Context: %d bytes are more than %d", len(c.ClientContext), maxClientContext)
	}
	if _, err := base64.StdEncoding.DecodeString(c.ClientContext); err != nil {
		return c, fault.New(fault.Invalid, "X-Amz-Client-Context: not base64: %w", err)
	}
	c.ClientContext = unmarked(c.ClientContext)
	switch kind := r.Header.Get("X-Amz-Log-Type"); kind {
	case "", "None":
	case "Tail":
		c.Tail = function.NewTail(maxTail)
	default:
		return c, fault.New(fault.Invalid, "X-Amz-Log-Type: %q is not known", fault.Clip(kind)).WithHint("None or Tail")
	}
	if c.Key = r.Header.Get("Dalamb-Key"); len(c.Key) > maxKey || !utf8.ValidString(c.Key) {
		return c, fault.New(fault.Invalid, "Dalamb-Key: is not text of at most %d bytes", maxKey)
	}
	name, qualifier := function.ParseARN(r.PathValue("name"))
	if given := q.text("Qualifier"); given != "" {
		if qualifier != "" && qualifier != given {
			return c, fault.New(fault.Invalid, "the qualifier %q of the name and the parameter Qualifier %q are not the same", qualifier, given)
		}
		qualifier = given
	}
	c.Function = name
	if err := access.From(r.Context()).Over(access.Call, name); err != nil {
		return c, err
	}
	if err := a.qualify(&c, qualifier); err != nil {
		return c, err
	}
	var err error
	if c.Payload, err = body(r, maxPayload); err != nil {
		return c, err
	}
	if len(c.Payload) == 0 {
		c.Payload = []byte("{}")
	}
	if !json.Valid(c.Payload) {
		return c, &badPayload{fault.New(fault.Invalid, "Could not parse request body into json: the payload of function %q is not JSON", name)}
	}
	return c, nil
}

// badPayload has an error type of its own in AWS's table.
type badPayload struct{ error }

func (b *badPayload) Unwrap() error { return b.error }

// qualify resolves the alias or version that is asked for, or says NotFound.
func (a *API) qualify(c *Call, qualifier string) error {
	view := a.catalog.View()
	if qualifier == "" || qualifier == "$LATEST" {
		_, err := view.Alias(c.Function, "")
		return err
	}
	if n, err := strconv.Atoi(qualifier); err == nil {
		c.Version = n
		_, err := view.VersionNumber(c.Function, n)
		return err
	}
	c.Alias = qualifier
	_, err := view.Alias(c.Function, qualifier)
	return err
}

func (a *API) invokeNow(w http.ResponseWriter, r *http.Request, c Call) error {
	res, err := a.caller.Call(r.Context(), c)
	if err != nil {
		return err
	}
	answer := res.Body
	if res.Outcome != function.Succeeded {
		if answer, err = failureText(res); err != nil {
			return err
		}
		// AWS documents Handled too, and has answered Unhandled to every error of a function for years: clients compare with that.
		w.Header().Set("X-Amz-Function-Error", "Unhandled")
	}
	w.Header().Set("X-Amz-Executed-Version", strconv.Itoa(res.Version))
	if c.Tail != nil {
		w.Header().Set("X-Amz-Log-Result", a.logResult(&c, res))
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(answer)
	return nil
}

// failureText is the error of a function as the caller gets it.
func failureText(res *function.Result) ([]byte, error) {
	failure := res.Failure
	if failure == nil {
		failure = &function.Failure{Message: "the invocation ended as " + string(res.Outcome)}
	}
	text, err := json.Marshal(failure)
	if err != nil {
		return nil, fmt.Errorf("encode failure: %w", err)
	}
	return text, nil
}

// invokeLater appends the call; when it returns nil it is durable and will be run.
func (a *API) invokeLater(r *http.Request, c Call) error {
	if len(c.Payload) > a.maxEvent {
		return fault.New(fault.TooLarge, "the payload of an asynchronous call of function %q is larger than %d bytes", c.Function, a.maxEvent)
	}
	if err := a.quotas.Call(function.Environment(c.Function)); err != nil {
		return err
	}
	data, err := json.Marshal(function.InvokeRequest{Function: c.Function, Alias: c.Alias, Version: c.Version, Payload: c.Payload, ID: c.ID})
	if err != nil {
		return fmt.Errorf("encode invoke request: %w", err)
	}
	e := &event.Event{
		ID: c.ID, Source: "/dalamb/invoke", Type: event.TypeInvokeRequested, Subject: c.Function, Time: a.now(),
		DataContentType: "application/json", Data: data,
		// Calls have no order among them; by their ids they spread over the partitions, those of a key that stays on one version by that.
		Extensions: map[string]any{event.ExtPartitionKey: cmp.Or(c.Key, c.ID)},
	}
	if _, err := a.log.Append(r.Context(), []eventlog.Record{eventlog.FromEvent(function.TopicInvoke, e)}); err != nil {
		return fmt.Errorf("append %s: %w", e.Type, err)
	}
	return nil
}

// awsStatus is AWS's table of errors, where Invoke has a word of its own for payloads.
func awsStatus(err error) (status int, typ string) {
	if _, ok := errors.AsType[*badPayload](err); ok {
		return http.StatusBadRequest, "InvalidRequestContentException"
	}
	return wire.AWSStatus(fault.KindOf(err))
}

func writeAWSError(w http.ResponseWriter, status int, typ string, err error) {
	w.Header().Set("X-Amzn-Errortype", typ)
	writeJSON(w, status, awsError{AWSError: wire.AWSErrorOf(status, err), ErrorBody: wire.ErrorOf(err)})
}

// awsError is AWS's body of an error, with the one of this API beside it for clients of its own.
type awsError struct {
	wire.AWSError
	wire.ErrorBody
}
