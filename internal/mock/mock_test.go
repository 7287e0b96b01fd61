package mock

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/openapi"
	"github.com/dalamb/dalamb/internal/wire"
)

func ask(h http.Handler, method, target, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestADocumentAnswers(t *testing.T) {
	d, err := openapi.Parse("a.yaml", []byte(`openapi: 3.1.0
paths:
  /orders:
    get:
      parameters: [{in: query, name: limit, schema: {type: integer}}]
      responses:
        "200": {content: {application/json: {examples: {few: {value: [1]}, none: {value: []}}}}}
        "404": {content: {application/json: {example: {error: gone}}}}
    delete: {responses: {"204": {}}}
    put: {requestBody: {required: true, content: {text/plain: {schema: {type: string}}}}}
  /orders/{id}: {get: {parameters: [{in: path, name: id, required: true, schema: {type: string}}], responses: {"200": {content: {text/plain: {example: one}}}}}}
`))
	if err != nil {
		t.Fatal(err)
	}
	h := Documented(d)
	for _, c := range []struct {
		method, target, prefer, body string
		status                       int
		want                         string
	}{
		{"GET", "/orders", "", "", 200, "[1]"},
		{"GET", "/orders", "example=none", "", 200, "[]"},
		{"GET", "/orders", "wait=5, code=404", "", 404, `{"error":"gone"}`},
		{"GET", "/orders", "wait=5; code=404", "", 404, `{"error":"gone"}`},
		{"GET", "/orders", `Code="404"`, "", 404, `{"error":"gone"}`},
		{"GET", "/orders", "STATUS=404", "", 404, `{"error":"gone"}`},
		{"GET", "/orders", "code=199", "", 400, "Prefer: code=199 is no status"},
		{"GET", "/orders", "code=600", "", 400, "Prefer: code=600 is no status"},
		{"OPTIONS", "/orders", "", "", 400, "OPTIONS /orders is not in the document"},
		{"DELETE", "/orders", "", "", 204, ""},
		{"GET", "/orders", "code=302", "", 400, "GET /orders has no answer with status 302 in the document"},
		{"GET", "/orders", "code=x", "", 400, "Prefer: code=x is no status"},
		{"GET", "/orders", "example=all", "", 400, `the document has no example "all" there`},
		{"GET", "/orders?limit=x", "", "", 400, "query parameter limit is string, not integer"},
		{"GET", "/carts", "", "", 400, "GET /carts is not in the document"},
		{"POST", "/orders", "", "", 400, "POST /orders is not in the document"},
		{"PUT", "/orders", "", "", 400, "body is missing"},
		{"PUT", "/orders", "", strings.Repeat("x", maxBody+1), 413, "the request's body is larger than 6291456 bytes"},
	} {
		w := ask(h, c.method, c.target, c.body, "Prefer", c.prefer)
		got := w.Body.String()
		if c.status >= 400 && c.want[0] != '{' {
			var e wire.ErrorBody
			if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil {
				t.Fatalf("%s %s: %q: %v", c.method, c.target, got, err)
			}
			got = e.Error.Message
		}
		if w.Code != c.status || got != c.want || w.Header().Get("Access-Control-Allow-Origin") != "*" || w.Header().Get("Access-Control-Expose-Headers") != "*" {
			t.Errorf("%s %s: %d %s, want %d %s, for all origins", c.method, c.target, w.Code, got, c.status, c.want)
		}
	}
	w := ask(h, "OPTIONS", "/orders", "", "Access-Control-Request-Method", "PUT", "Access-Control-Request-Headers", "x-a")
	if w.Code != 204 || w.Header().Get("Access-Control-Allow-Methods") != "PUT" || w.Header().Get("Access-Control-Allow-Headers") != "x-a" {
		t.Errorf("a preflight: %d %v", w.Code, w.Header())
	}
	if w := ask(h, "GET", "/orders/7", ""); w.Body.String() != "one" || w.Header().Get("Content-Type") != "text/plain" || w.Header().Get(FromHeader) != "GET /orders/{id}" {
		t.Errorf("GET /orders/7: %q from %q, want what the document says of it", w.Body, w.Header().Get(FromHeader))
	}
	if w := ask(h, "DELETE", "/orders", ""); w.Header()["Content-Type"] != nil {
		t.Errorf("what has no body is %q", w.Header()["Content-Type"])
	}
}

// refusal is the error that is answered.
func refusal(t *testing.T, w *httptest.ResponseRecorder) wire.Error {
	t.Helper()
	var e wire.ErrorBody
	if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil {
		t.Fatalf("%d %q: %v", w.Code, w.Body, err)
	}
	return e.Error
}

func TestARefusalSaysWhatThereIs(t *testing.T) {
	d, err := openapi.Parse("a.yaml", []byte(`openapi: 3.1.0
paths: {/orders: {get: {parameters: [{in: query, name: limit, schema: {type: integer}}], responses: {"200": {description: all}}}}}
`))
	if err != nil {
		t.Fatal(err)
	}
	h := Documented(d)
	if got := refusal(t, ask(h, "POST", "/orders", "")).Hint; got != "it has GET for that path" {
		t.Errorf("a method that the path does not have: %q", got)
	}
	if got := refusal(t, ask(h, "GET", "/carts", "")).Hint; got != "" {
		t.Errorf("a path that is not there: %q", got)
	}
	if got := refusal(t, ask(h, "GET", "/orders?limit=x", "")).Problems; len(got) != 1 || got[0].In != "query" || got[0].Name != "limit" || got[0].Message == "" {
		t.Errorf("what is wrong is %+v, want the parameter limit", got)
	}
	var all Recorded
	if got := refusal(t, ask(all.Handler(), "GET", "/", "")).Hint; got != "nothing was recorded at all" {
		t.Errorf("without a record: %q", got)
	}
	for _, path := range []string{"/a", "/b", "/c?x=1", "/c?x=2", "/d", "/e", "/f"} {
		all.Add(function.Request{Method: "GET", Path: path, Status: 200})
	}
	if got := refusal(t, ask(all.Handler(), "GET", "/g", "")).Hint; got != "recorded are GET /f, GET /e, GET /d, GET /c, GET /b" {
		t.Errorf("of many paths: %q", got)
	}
}

func TestTheRecordAnswers(t *testing.T) {
	var all Recorded
	for _, r := range []function.Request{
		{ID: "1", Method: "GET", Path: "/orders/1", Status: 200, Answer: []byte(`{"n":1}`)},
		{ID: "2", Method: "GET", Path: "/orders/2?full=1&a=2", Status: 200, Answer: []byte(`{"n":2}`)},
		{ID: "3", Method: "GET", Path: "/orders/1", Status: 404, Answer: []byte(`gone`)},
		{ID: "4", Method: "POST", Path: "/orders", Status: 201},
		{ID: "5", Method: "GET", Path: "/orders/9", Status: 200, Answer: []byte(`part`), AnswerSize: 99},
		{ID: "6", Method: "GET", Path: "/orders/7", Status: 0},
		{ID: "7", Method: "GET", Path: "/orders/2", Status: 200, Answer: []byte(`{"n":2.5}`)},
		{ID: "8", Method: "GET", Path: "/orders/2", Status: 600, Answer: []byte(`no answer`)},
		{ID: "9", Method: "GET", Path: "/lists/1?b=1&a=1", Status: 200, Answer: []byte(`two`)},
		{ID: "10", Method: "GET", Path: "/lists/1?a=1&b=1&c=1", Status: 200, Answer: []byte(`three`)},
		{ID: "11", Method: "GET", Path: "/lists/2?%zz", Status: 200, Answer: []byte(`odd`)},
		{ID: "12", Method: "GET", Path: "/lists/2?%yy", Status: 200, Answer: []byte(`odder`)},
		{ID: "13", Method: "HEAD", Path: "/lists/1", Status: 200, Answer: []byte(`one`)},
	} {
		if r.AnswerSize == 0 {
			r.AnswerSize = int64(len(r.Answer))
		}
		all.Add(r)
	}
	if n, cut := all.Len(); n != 10 || cut != 1 {
		t.Errorf("Len = %d, %d, want 10 and 1 that is cut", n, cut)
	}
	if len(all.newest) != 9 {
		t.Errorf("%d requests are kept, want the newest of each alone", len(all.newest))
	}
	h := all.Handler()
	for _, c := range []struct {
		method, target string
		status         int
		body, kind, id string
	}{
		{"GET", "/orders/1", 404, "gone", "text/plain; charset=utf-8", "3"}, // the newest
		{"GET", "/orders/2?a=2&full=1", 200, `{"n":2}`, "application/json", "2"},
		{"GET", "/orders/2?a=2&full=0", 200, `{"n":2}`, "application/json", "2"},
		{"GET", "/orders/2", 200, `{"n":2.5}`, "application/json", "7"},
		{"GET", "/orders/8", 200, `{"n":2.5}`, "application/json", "7"}, // the newest of those of its form
		{"POST", "/orders", 201, "", "", "4"},
		{"GET", "/lists/1?b=1&a=1", 200, "two", "text/plain; charset=utf-8", "9"},
		{"GET", "/lists/2?%zz", 200, "odd", "text/plain; charset=utf-8", "11"},
		{"HEAD", "/lists/1", 200, "", "text/plain; charset=utf-8", "13"},
		{"GET", "/orders/1/items", 404, "", "application/json", ""},
		{"GET", "/carts/1", 404, "", "application/json", ""},
		{"GET", "/orders", 404, "", "application/json", ""},
		{"DELETE", "/orders/1", 404, "", "application/json", ""},
	} {
		w := ask(h, c.method, c.target, "")
		from := w.Header().Get(FromHeader)
		if w.Code != c.status || c.id != "" && w.Body.String() != c.body || w.Header().Get("Content-Type") != c.kind || !strings.HasSuffix(from, c.id) || (from == "") != (c.id == "") {
			t.Errorf("%s %s: %d %q %q from %q, want %d %q %q from %s", c.method, c.target, w.Code, w.Body, w.Header().Get("Content-Type"), from, c.status, c.body, c.kind, c.id)
		}
	}
}

func TestWhatHasNoSlashIsLikeNothingElse(t *testing.T) {
	if n := alike(asked{method: "OPTIONS", path: "*"}, "", ""); n != 0 {
		t.Errorf("alike = %d, want 0", n)
	}
}
