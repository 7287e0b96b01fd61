package entry

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// The member names and forms are those of the AWS Lambda developer guide, "Invoking Lambda function URLs".
func TestARequestAsFunctionURLEvent(t *testing.T) {
	var got []byte
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders/{id}/{rest...}", func(_ http.ResponseWriter, r *http.Request) {
		b, err := urlRequest(&function.Invocation{ID: "id-1", Request: r, Identity: &function.Identity{Type: "user", ID: "ann"}}, "shop", time.UnixMilli(1659687279885))
		if err != nil {
			t.Fatal(err)
		}
		got = b
	})
	r := httptest.NewRequest("POST", "http://shop.example:8080/orders/4%2F2/a/b?tag=x&tag=y&q=1%202", strings.NewReader(`{"n":1}`))
	r.Header = http.Header{
		"Content-Type": {"application/json"}, "User-Agent": {"till/1"}, "X-Many": {"a", "b"},
		"Cookie": {"a=1; b=2", "c=3"}, "Connection": {"X-Hop"}, "X-Hop": {"1"}, "X-Forwarded-For": {"10.0.0.1"},
	}
	r.RemoteAddr = "192.0.2.7:4711"
	mux.ServeHTTP(httptest.NewRecorder(), r)

	const want = `{
		"version": "2.0", "routeKey": "$default", "rawPath": "/orders/4%2F2/a/b", "rawQueryString": "tag=x&tag=y&q=1%202",
		"cookies": ["a=1", "b=2", "c=3"],
		"headers": {"content-type": "application/json", "user-agent": "till/1", "x-many": "a,b", "host": "shop.example:8080",
			"forwarded": "for=192.0.2.7;host=\"shop.example:8080\";proto=http", "x-forwarded-for": "192.0.2.7", "x-forwarded-host": "shop.example:8080", "x-forwarded-proto": "http"},
		"queryStringParameters": {"tag": "x,y", "q": "1 2"},
		"pathParameters": {"id": "4/2", "rest": "a/b"},
		"requestContext": {"accountId": "anonymous", "apiId": "shop", "authorizer": {"lambda": {"authtype": "user", "authid": "ann"}}, "domainName": "shop.example:8080", "domainPrefix": "shop",
			"http": {"method": "POST", "path": "/orders/4/2/a/b", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.7", "userAgent": "till/1"},
			"requestId": "id-1", "routeKey": "$default", "stage": "$default", "time": "05/Aug/2022:08:14:39 +0000", "timeEpoch": 1659687279885},
		"body": "{\"n\":1}", "isBase64Encoded": false}`
	var a, b any
	if err := json.Unmarshal(got, &a); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(want), &b); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(a, b) {
		t.Errorf("event = %s\nwant %s", got, want)
	}
}

func TestBodiesThatAreNotTextAreBase64(t *testing.T) {
	tests := []struct {
		typ, encoding, body string
		want                string
		base64              bool
	}{
		{"text/html; charset=utf-8", "", "<p>", "<p>", false},
		{"application/vnd.api+json", "", "{}", "{}", false},
		{"application/octet-stream", "", "abc", "YWJj", true},
		{"", "", "abc", "YWJj", true},
		{"text/plain", "gzip", "abc", "YWJj", true},
		{"text/plain", "", "\xff", "/w==", true},
	}
	for _, tt := range tests {
		r := httptest.NewRequest("PUT", "/", strings.NewReader(tt.body))
		r.Header.Set("Content-Type", tt.typ)
		if tt.encoding != "" {
			r.Header.Set("Content-Encoding", tt.encoding)
		}
		inv := &function.Invocation{Request: r}
		for range 2 { // an invocation that was not delivered is rendered again
			b, err := urlRequest(inv, "shop", time.Now())
			if err != nil {
				t.Fatal(err)
			}
			var got struct {
				Body   string `json:"body"`
				Base64 bool   `json:"isBase64Encoded"`
			}
			if err := json.Unmarshal(b, &got); err != nil {
				t.Fatal(err)
			}
			if got.Body != tt.want || got.Base64 != tt.base64 {
				t.Errorf("%s %q = %+v, want %q, base64 %v", tt.typ, tt.body, got, tt.want, tt.base64)
			}
		}
	}
}

func TestAnswersToARequest(t *testing.T) {
	stream := http.Header{"Content-Type": {streamPrelude}}
	tests := []struct {
		name, answer string
		h            http.Header
		status       int
		header       http.Header
		body         string
		wrong        string
	}{
		{name: "all of it", answer: `{"statusCode":201,"headers":{"x-a":"1","content-type":"text/plain"},"cookies":["a=1","b=2"],"body":"hi"}`,
			status: 201, header: http.Header{"X-A": {"1"}, "Content-Type": {"text/plain"}, "Set-Cookie": {"a=1", "b=2"}}, body: "hi"},
		{name: "base64", answer: `{"statusCode":200,"body":"aGk=","isBase64Encoded":true}`, status: 200, header: http.Header{"Content-Type": {"application/json"}}, body: "hi"},
		{name: "quoted status, numeric header", answer: `{"statusCode":"204","headers":{"x-n":5}}`, status: 204, header: http.Header{"X-N": {"5"}, "Content-Type": {"application/json"}}},
		{name: "body that is an object", answer: `{"statusCode":200,"body":{"n":1}}`, status: 200, header: http.Header{"Content-Type": {"application/json"}}, body: `{"n":1}`},
		{name: "hop-by-hop fields", answer: `{"statusCode":200,"headers":{"Connection":"close","Content-Length":"99"}}`, status: 200, header: http.Header{"Content-Type": {"application/json"}}},
		{name: "JSON", answer: `{"message":"hi"}`, status: 200, header: http.Header{"Content-Type": {"application/json"}}, body: `{"message":"hi"}`},
		{name: "JSON string", answer: `"hi"`, status: 200, header: http.Header{"Content-Type": {"application/json"}}, body: `"hi"`},
		{name: "statusCode deeper down", answer: `{"a":{"statusCode":500}}`, status: 200, header: http.Header{"Content-Type": {"application/json"}}, body: `{"a":{"statusCode":500}}`},
		{name: "text", answer: `hi`, status: 200, header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}}, body: "hi"},
		{name: "bytes", answer: "\xff", status: 200, header: http.Header{"Content-Type": {"application/octet-stream"}}, body: "\xff"},
		{name: "event", answer: `{"specversion":"1.0","type":"a"}`, status: 200, header: http.Header{"Content-Type": {"application/cloudevents+json"}}, body: `{"specversion":"1.0","type":"a"}`},
		{name: "stream", answer: `{"statusCode":202,"headers":{"x-a":"1"}}` + "\x00\x00\x00\x00\x00\x00\x00\x00" + `part`, h: stream, status: 202, header: http.Header{"X-A": {"1"}, "Content-Type": {"application/json"}}, body: "part"},
		{name: "status out of range", answer: `{"statusCode":99}`, wrong: "statusCode 99"},
		{name: "status of no answer", answer: `{"statusCode":101}`, wrong: "statusCode 101"},
		{name: "header that net/http would make a trailer of", answer: `{"statusCode":200,"headers":{"Trailer:Content-Length":"1"}}`, wrong: "header"},
		{name: "header name with a space", answer: `{"statusCode":200,"headers":{"Transfer-Encoding ":"chunked"}}`, wrong: "header"},
		{name: "status of words", answer: `{"statusCode":"fine"}`, wrong: "statusCode"},
		{name: "split header", answer: `{"statusCode":200,"headers":{"x":"a\r\nSet-Cookie: b"}}`, wrong: "header"},
		{name: "split cookie", answer: `{"statusCode":200,"cookies":["a\nb"]}`, wrong: "cookie"},
		{name: "body that is not base64", answer: `{"statusCode":200,"body":"%","isBase64Encoded":true}`, wrong: "base64"},
		{name: "wrong types", answer: `{"statusCode":200,"cookies":"a=1"}`, wrong: "cookies"},
		{name: "stream without a prelude", answer: `part`, h: stream, wrong: "eight zero bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := urlAnswer([]byte(tt.answer), tt.h, "shop")
			if tt.wrong != "" {
				wantFailure(t, r, function.BadAnswer, "Function.InvalidResponse", tt.wrong)
				if r.Status != 502 {
					t.Errorf("status = %d, want 502", r.Status)
				}
				return
			}
			wantOutcome(t, r, function.Succeeded)
			if r.Status != tt.status || string(r.Body) != tt.body || !reflect.DeepEqual(r.Header, tt.header) {
				t.Errorf("answer = %d %v %q, want %d %v %q", r.Status, r.Header, r.Body, tt.status, tt.header, tt.body)
			}
		})
	}
}

func FuzzURLAnswer(f *testing.F) {
	for _, seed := range []string{`{"statusCode":200,"headers":{"a":"b"},"cookies":["a"],"body":"x"}`, `{"statusCode":"x"}`, `"text"`, "{}\x00\x00\x00\x00\x00\x00\x00\x00x", `{"specversion":"1.0","type":"a"}`} {
		f.Add([]byte(seed), false)
		f.Add([]byte(seed), true)
	}
	f.Fuzz(func(t *testing.T, answer []byte, stream bool) {
		h := http.Header{}
		if stream {
			h.Set("Content-Type", streamPrelude)
		}
		r := urlAnswer(answer, h, "shop")
		if (r.Outcome == function.Succeeded) != (r.Failure == nil) || r.Status < 100 || r.Status > 599 {
			t.Errorf("answer = %+v", r)
		}
		for k, vs := range r.Header {
			for _, v := range vs {
				if strings.ContainsAny(k+v, "\r\n") {
					t.Errorf("header %q: %q splits the answer", k, v)
				}
			}
		}
	})
}

func FuzzParseFailure(f *testing.F) {
	for _, seed := range []string{`{"errorType":"E","errorMessage":"m","stackTrace":["a"],"retry":false}`, `words`, `{"errorType":1}`, `{"stackTrace":[` + strings.Repeat(`"frame",`, 3000) + `"last"]}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, _ := parseFailure(body, "")
		if r.Type == "" || r.Message == "" || len(r.Message) > maxMessage+16 || len(r.Trace) > maxTrace {
			t.Errorf("failure = %+v", r)
		}
		if len(r.Trace) > 0 && !json.Valid(r.Trace) {
			t.Errorf("trace %s is not JSON", r.Trace)
		}
	})
}
