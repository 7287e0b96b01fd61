package entry

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/function"
)

// urlEvent is a request as a lambda gets it. AWS Lambda developer guide, "Invoking Lambda function URLs", payload format 2.0.
type urlEvent struct {
	Version    string            `json:"version"`
	RouteKey   string            `json:"routeKey"`
	RawPath    string            `json:"rawPath"`
	RawQuery   string            `json:"rawQueryString"`
	Cookies    []string          `json:"cookies,omitempty"`
	Headers    map[string]string `json:"headers"`
	Query      map[string]string `json:"queryStringParameters,omitempty"`
	Context    urlContext        `json:"requestContext"`
	PathParams map[string]string `json:"pathParameters,omitempty"`
	Body       *string           `json:"body,omitempty"`
	Base64     bool              `json:"isBase64Encoded"`
}

type urlContext struct {
	AccountID    string         `json:"accountId"`
	APIID        string         `json:"apiId"`
	Authorizer   *urlAuthorizer `json:"authorizer,omitempty"`
	DomainName   string         `json:"domainName"`
	DomainPrefix string         `json:"domainPrefix"`
	HTTP         urlHTTP        `json:"http"`
	RequestID    string         `json:"requestId"`
	RouteKey     string         `json:"routeKey"`
	Stage        string         `json:"stage"`
	Time         string         `json:"time"`
	TimeEpoch    int64          `json:"timeEpoch"` // milliseconds
}

// urlAuthorizer is where a lambda looks for what a gateway's own authorizer has found out. Amazon API Gateway developer guide, "Working with
// AWS Lambda authorizers for HTTP APIs".
type urlAuthorizer struct {
	Lambda map[string]string `json:"lambda"`
}

func authorizer(who *function.Identity) *urlAuthorizer {
	if who == nil {
		return nil
	}
	return &urlAuthorizer{map[string]string{event.ExtAuthType: who.Type, event.ExtAuthID: who.ID}}
}

type urlHTTP struct {
	Method    string `json:"method"`
	Path      string `json:"path"`
	Protocol  string `json:"protocol"`
	SourceIP  string `json:"sourceIp"`
	UserAgent string `json:"userAgent"`
}

func urlRequest(inv *function.Invocation, name string, now time.Time) ([]byte, error) {
	r := inv.Request
	body, err := KeepBody(r)
	if err != nil {
		return nil, err
	}
	fields := forward(r)
	prefix, _, _ := strings.Cut(r.Host, ".")
	e := urlEvent{
		Version: "2.0", RouteKey: "$default", RawPath: r.URL.EscapedPath(), RawQuery: r.URL.RawQuery,
		Headers: map[string]string{"host": r.Host}, PathParams: pathParams(r),
		Context: urlContext{
			AccountID: "anonymous", APIID: name, Authorizer: authorizer(inv.Identity), DomainName: r.Host, DomainPrefix: prefix,
			RequestID: inv.ID, RouteKey: "$default", Stage: "$default",
			Time: now.UTC().Format("02/Jan/2006:15:04:05 -0700"), TimeEpoch: now.UnixMilli(),
			HTTP: urlHTTP{Method: r.Method, Path: r.URL.Path, Protocol: r.Proto, SourceIP: clientIP(r), UserAgent: r.UserAgent()},
		},
	}
	for _, line := range fields["Cookie"] {
		for c := range strings.SplitSeq(line, ";") {
			if c = strings.TrimSpace(c); c != "" {
				e.Cookies = append(e.Cookies, c)
			}
		}
	}
	delete(fields, "Cookie") // AWS gives them in cookies alone
	for k, v := range fields {
		e.Headers[strings.ToLower(k)] = strings.Join(v, ",")
	}
	if r.URL.RawQuery != "" {
		e.Query = make(map[string]string)
		for k, v := range r.URL.Query() {
			e.Query[k] = strings.Join(v, ",")
		}
	}
	if len(body) > 0 {
		s := string(body)
		if e.Base64 = !textual(r.Header, body); e.Base64 {
			s = base64.StdEncoding.EncodeToString(body)
		}
		e.Body = &s
	}
	b, err := json.Marshal(&e)
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	return b, nil
}

// pathParams are the values of {name} and {rest...} in the pattern that matched.
func pathParams(r *http.Request) map[string]string {
	var params map[string]string
	for rest := r.Pattern; ; {
		_, after, ok := strings.Cut(rest, "{")
		name, next, closed := strings.Cut(after, "}")
		if !ok || !closed {
			return params
		}
		if name = strings.TrimSuffix(name, "..."); name != "" && name != "$" {
			if params == nil {
				params = make(map[string]string)
			}
			params[name] = r.PathValue(name)
		}
		rest = next
	}
}

// textual says whether a body goes into the JSON as it is: text and the like, not compressed.
func textual(h http.Header, body []byte) bool {
	if h.Get("Content-Encoding") != "" || !utf8.Valid(body) {
		return false
	}
	typ, _, _ := strings.Cut(strings.ToLower(h.Get("Content-Type")), ";")
	typ = strings.TrimSpace(typ)
	switch {
	case strings.HasPrefix(typ, "text/"), strings.HasSuffix(typ, "+json"), strings.HasSuffix(typ, "+xml"):
		return true
	}
	switch typ {
	case "application/json", "application/xml", "application/javascript":
		return true
	}
	return false
}

// urlReply is an answer in payload format 2.0.
type urlReply struct {
	Status  json.RawMessage            `json:"statusCode"`
	Headers map[string]json.RawMessage `json:"headers"`
	Body    json.RawMessage            `json:"body"`
	Base64  bool                       `json:"isBase64Encoded"`
	Cookies []string                   `json:"cookies"`
}

// streamPrelude is the content type of a streamed answer: status, fields and cookies as JSON, eight zero bytes, the body.
const streamPrelude = "application/vnd.awslambda.http-integration-response"

// urlAnswer is what a lambda's answer means to an HTTP client. AWS: JSON with a statusCode says it all; any other JSON is a
// body of type application/json and status 200. Beyond AWS, which answers 502, what is no JSON is a body too.
func urlAnswer(answer []byte, h http.Header, name string) *function.Result {
	if h.Get("Content-Type") == streamPrelude {
		prelude, body, ok := bytes.Cut(answer, make([]byte, 8))
		var reply urlReply
		if !ok || json.Unmarshal(prelude, &reply) != nil {
			return badReply("the stream does not begin with JSON and eight zero bytes")
		}
		return reply.result(body)
	}
	var reply urlReply
	if trimmed := bytes.TrimSpace(answer); len(trimmed) > 0 && trimmed[0] == '{' && json.Valid(trimmed) && hasMember(trimmed, "statusCode") {
		if err := json.Unmarshal(trimmed, &reply); err != nil {
			return badReply(err.Error())
		}
		body, err := reply.body()
		if err != nil {
			return badReply(err.Error())
		}
		return reply.result(body)
	}
	r := succeeded(answer, name)
	if r.Outcome != function.Succeeded {
		return r
	}
	r.Header = http.Header{"Content-Type": {contentTypeOf(answer, r.Events)}}
	return r
}

func hasMember(object []byte, name string) bool {
	if !bytes.Contains(object, []byte(name)) {
		return false
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(object, &members) != nil {
		return false
	}
	_, ok := members[name]
	return ok
}

// contentTypeOf names what a function gave without saying what it is.
func contentTypeOf(b []byte, events []*event.Event) string {
	switch {
	case len(events) > 0 && bytes.TrimSpace(b)[0] == '[':
		return event.ContentTypeBatch
	case len(events) > 0:
		return event.ContentTypeStructured
	case json.Valid(b):
		return "application/json"
	case utf8.Valid(b):
		return "text/plain; charset=utf-8"
	}
	return "application/octet-stream"
}

func (r *urlReply) body() ([]byte, error) {
	var s string
	if len(r.Body) == 0 || string(r.Body) == "null" {
		return nil, nil
	}
	if json.Unmarshal(r.Body, &s) != nil {
		return r.Body, nil // a body that is not a string is meant as JSON
	}
	if !r.Base64 {
		return []byte(s), nil
	}
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("isBase64Encoded is true, and the body is not base64: %w", err)
	}
	return b, nil
}

func (r *urlReply) result(body []byte) *function.Result {
	status := statusOK
	if r.Status != nil && string(r.Status) != "null" {
		// A number in quotes is accepted, as AWS does.
		if err := json.Unmarshal([]byte(strings.Trim(string(r.Status), `"`)), &status); err != nil || status < 200 || status > 599 {
			return badReply(fmt.Sprintf("statusCode %s is not the status of an answer by HTTP", r.Status))
		}
	}
	h := http.Header{}
	for k, v := range r.Headers {
		value := text(v)
		if strings.ContainsAny(value, "\r\n\x00") || !fieldName(k) {
			return badReply(fmt.Sprintf("header %q is not one of HTTP", k))
		}
		h.Set(k, value)
	}
	dropHopByHop(h)
	h.Del("Content-Length") // the body says it
	for _, c := range r.Cookies {
		if strings.ContainsAny(c, "\r\n\x00") {
			return badReply("a cookie is not one of HTTP")
		}
		h.Add("Set-Cookie", c)
	}
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", "application/json")
	}
	return &function.Result{Outcome: function.Succeeded, Status: status, Header: h, Body: body}
}

// fieldName holds the rule of header names. RFC 9110, section 5.6.2. What breaks it may mean something to net/http or a proxy:
// "Trailer:X" is a field after the body to the one, "X " the same as "X" to some of the others.
func fieldName(s string) bool {
	return s != "" && strings.Trim(s, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

func badReply(reason string) *function.Result {
	return badAnswer("Function.InvalidResponse", "the answer is not one to an HTTP request: %s", reason)
}
