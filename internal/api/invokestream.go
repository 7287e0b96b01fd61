package api

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

const maxChunk = 64 << 10 // bytes of an answer in one message

// invokeStream makes a call whose answer goes to the client while the function gives it. An error has answered nothing.
//
// Source: AWS Lambda API reference, InvokeWithResponseStream (2021-11-15).
func (a *API) invokeStream(w http.ResponseWriter, r *http.Request, q query) error {
	c, err := a.parseInvoke(r, q)
	if err != nil {
		return err
	}
	w.Header().Set("X-Amzn-Requestid", c.ID)
	switch kind := r.Header.Get("X-Amz-Invocation-Type"); kind {
	case "", "RequestResponse":
	case "DryRun":
		w.WriteHeader(http.StatusNoContent)
		return nil
	default:
		return fault.New(fault.Invalid, "X-Amz-Invocation-Type: %q is not known", kind).WithHint("RequestResponse or DryRun")
	}
	s := &streamedCall{w: w, r: r}
	if c.Tail != nil {
		s.log = func(res *function.Result) string { return a.logResult(&c, res) }
	}
	s.events = awsStream{w, http.NewResponseController(w).Flush}
	c.Responder = s
	res, err := a.caller.Call(r.Context(), c)
	switch {
	case err == nil:
		return s.end(res)
	case !s.begun:
		return err
	}
	panic(http.ErrAbortHandler) // the client knows by the end that is not there that this is not all
}

// streamedCall is an answer on its way to a client of InvokeWithResponseStream. It is a function.Responder.
type streamedCall struct {
	w      http.ResponseWriter
	r      *http.Request
	events awsStream
	begun  bool
	log    func(*function.Result) string // the end of the invocation's log; nil = nobody wants it
}

func (s *streamedCall) begin() {
	s.begun = true
	s.w.Header().Set("Content-Type", "application/vnd.amazon.eventstream")
	s.w.WriteHeader(http.StatusOK)
}

// Respond implements function.Responder.
func (s *streamedCall) Respond(function.Head) (io.Writer, error) {
	s.begin()
	return s, http.NewResponseController(s.w).Flush()
}

// Gone implements function.Responder.
func (s *streamedCall) Gone() <-chan struct{} { return s.r.Context().Done() }

// Write implements io.Writer.
func (s *streamedCall) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		piece := p[:min(len(p), maxChunk)]
		if err := s.events.send("PayloadChunk", "application/octet-stream", piece); err != nil {
			return n, fmt.Errorf("send a piece of the answer: %w", err)
		}
		n, p = n+len(piece), p[len(piece):]
	}
	return n, nil
}

// complete is the last event.
type complete struct {
	ErrorCode    string `json:",omitempty"`
	ErrorDetails string `json:",omitempty"` // the function's error, as JSON
	LogResult    string `json:",omitempty"` // as X-Amz-Log-Result
}

// end says what came of it, behind the answer of a function that does not stream.
func (s *streamedCall) end(res *function.Result) error {
	var last complete
	if res.Outcome != function.Succeeded {
		text, err := failureText(res)
		if err != nil {
			return err
		}
		last = complete{ErrorCode: "Unhandled", ErrorDetails: string(text)}
	}
	if s.log != nil {
		last.LogResult = s.log(res)
	}
	text, err := json.Marshal(last)
	if err != nil {
		return fmt.Errorf("encode the end of an answer: %w", err)
	}
	if !s.begun {
		s.w.Header().Set("X-Amz-Executed-Version", strconv.Itoa(res.Version))
		s.begin()
		if res.Outcome == function.Succeeded {
			if _, err := s.Write(res.Body); err != nil {
				panic(http.ErrAbortHandler)
			}
		}
	}
	if err := s.events.send("InvokeComplete", "application/json", text); err != nil {
		panic(http.ErrAbortHandler)
	}
	return nil
}
