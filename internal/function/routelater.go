package function

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
)

// Later says when a route answers with the address of a run in place of the function's answer.
type Later string

// Values of Later.
const (
	LaterAlways    Later = "always"    // each request; written true
	LaterPreferred Later = "preferred" // those with Prefer: respond-async. RFC 7240, section 4.1
)

// laterValue reads true as always, since that is what people write.
func laterValue() value[Later] {
	schema := map[string]any{"type": []string{"boolean", "string"}, "examples": []string{"true", string(LaterPreferred)}}
	return scalar("true, false or preferred", schema, func(s string, into *Later) error {
		switch is, err := strconv.ParseBool(s); {
		case err == nil && is:
			*into = LaterAlways
		case err == nil:
			*into = ""
		default:
			*into = Later(s)
		}
		return nil
	}, "!!bool", "!!str")
}

func (c *checker) later(at string, r *Route) {
	if r.Async == "" {
		return
	}
	oneOf(c, at+".async", r.Async, []Later{LaterAlways, LaterPreferred})
	if r.Redirect != nil || r.Static != nil {
		c.add(at+".async", "remove it", "a route that asks no function has its answer at once")
	}
	if r.Durable {
		c.add(at+".durable", "remove it", "a request that is answered later is in the log in any case")
	}
}

// LateRequest is a request to a route that is answered later, as the function will see it.
type LateRequest struct {
	Route    string            `json:"route"`
	Method   string            `json:"method"`
	Target   string            `json:"target"` // path and query
	Scheme   string            `json:"scheme,omitempty"`
	Host     string            `json:"host,omitempty"`
	Remote   string            `json:"remote,omitempty"`
	Pattern  string            `json:"pattern,omitempty"` // of the route, as net/http.ServeMux writes it
	Params   map[string]string `json:"params,omitempty"`  // of the path
	Header   http.Header       `json:"header,omitempty"`
	Body     []byte            `json:"body,omitempty"`
	Stored   *StoredBody       `json:"stored,omitempty"` // where the body stands that is too long for an event; nil = it is in Body
	Identity *Identity         `json:"identity,omitempty"`
	Callback *Callback         `json:"callback,omitempty"` // nil = nobody is told
	Await    *Await            `json:"await,omitempty"`    // the event that is the answer; nil = the function's is
}

// StoredBody is where a body stands in TopicBodies, and which it is.
type StoredBody struct {
	Stored
	Digest string `json:"digest"` // "sha256:" and hex
}

// HTTP is the request that the function gets; another one for each attempt. A body that stands elsewhere has to be put into Body ahead of it: an empty one
// would be another request.
func (l *LateRequest) HTTP() (*http.Request, error) {
	if l.Stored != nil && int64(len(l.Body)) != l.Stored.Bytes {
		return nil, fmt.Errorf("its body has %d of %d bytes", len(l.Body), l.Stored.Bytes)
	}
	u, err := url.ParseRequestURI(l.Target)
	if err != nil {
		return nil, fmt.Errorf("read the target of a request: %w", err)
	}
	u.Scheme = l.Scheme
	r := &http.Request{
		Method: l.Method, URL: u, RequestURI: l.Target, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Host: l.Host, RemoteAddr: l.Remote,
		Pattern: l.Pattern, Header: l.Header.Clone(), Body: http.NoBody, ContentLength: int64(len(l.Body)),
	}
	if r.Header == nil {
		r.Header = http.Header{}
	}
	if len(l.Body) > 0 {
		r.Body = io.NopCloser(bytes.NewReader(l.Body))
	}
	for name, v := range l.Params {
		r.SetPathValue(name, v)
	}
	return r, nil
}

// MaxAnswerKept is how much of the answer to a request that is answered later stays in the log with the run, in bytes. One that is larger is not
// kept at all: a part of it would be taken for the whole.
const MaxAnswerKept = 512 << 10

// Answer is what a function answered to a request that is answered later.
type Answer struct {
	Status int         `json:"status"`
	Header http.Header `json:"header,omitempty"`
	Body   []byte      `json:"body,omitempty"`
	Size   int64       `json:"size"` // of the body; where it is over MaxAnswerKept, Body is empty
}

// Bare is the answer without its body.
func (a *Answer) Bare() *Answer {
	if a == nil {
		return nil
	}
	bare := *a
	bare.Body = nil
	return &bare
}

// ReasonCancelled is the reason of a discarded run whose caller did not want it any more.
const ReasonCancelled = "its caller cancelled it"
