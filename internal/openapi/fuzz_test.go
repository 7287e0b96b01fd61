package openapi

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// FuzzDocument reads any text as a document, and holds any request against it and any answer: whatever they are, that ends, and says something.
func FuzzDocument(f *testing.F) {
	f.Add(shop, "GET", "/orders?limit=1&box[x]=1", "", "")
	f.Add(shop, "POST", "/v1/orders", "application/json", `{"sku":"ABC","qty":1,"pay":{"kind":"card"}}`)
	f.Add(shop, "POST", "/orders", "multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"qty\"\r\n\r\n1\r\n--b--\r\n")
	f.Add(`{"openapi":"3.0.0","paths":{"/a":{"post":{"requestBody":{"content":{"*/*":{"schema":{"nullable":true,"type":"array","items":{"$ref":"#/paths"}}}}}}}}}`, "POST", "/a", "application/json", "[1,[2,null]]")
	f.Add("openapi: 3.1.0\npaths: {/{a}.{b}: {get: {parameters: [{$ref: '#/components/parameters/A'}]}}}\ncomponents: {parameters: {A: {in: path, name: a}}}", "GET", "/x.y", "", "")
	f.Add("openapi: 3.1.0\npaths: {/a: {get: {parameters: [{in: query, name: q, schema: {enum: [x]}}]}}}", "GET", "/a?q="+strings.Repeat("%80", 80), "", "")
	f.Fuzz(func(t *testing.T, text, method, target, kind, body string) {
		if len(text)+len(body) > 64<<10 {
			return
		}
		d, err := Parse("openapi.yaml", []byte(text))
		if err != nil {
			if d != nil || strings.TrimSpace(err.Error()) == "" {
				t.Fatalf("Parse = %v, %q", d, err)
			}
			return
		}
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return
		}
		r := httptest.NewRequest("GET", "/", strings.NewReader(body))
		r.Method, r.URL = method, u
		r.Header.Set("Content-Type", kind)
		m, _ := d.Find(r.Method, u.EscapedPath())
		if m == nil {
			return
		}
		for _, fault := range append(m.CheckRequest(r, []byte(body)), m.CheckAnswer(200, http.Header{"Content-Type": {kind}}, []byte(body))...) {
			if fault.Message == "" {
				t.Fatalf("%+v says nothing", fault)
			}
		}
	})
}
