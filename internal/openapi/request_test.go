package openapi

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// shop is a document with one of each thing that requests are held against.
const shop = `openapi: 3.1.0
info: {title: shop, version: "1"}
servers: [{url: "https://api.example/v1"}, {url: "/"}]
paths:
  /orders:
    parameters:
      - {in: header, name: X-Tenant, schema: {type: string, pattern: "^[a-z]+$"}}
    get:
      parameters:
        - {in: query, name: limit, required: true, schema: {type: integer, minimum: 1, maximum: 100}}
        - {in: query, name: state, schema: {enum: [open, closed]}}
        - {in: query, name: since, schema: {type: string, format: date-time}}
        - {in: query, name: tag, schema: {type: array, items: {type: integer}, maxItems: 2}}
        - {in: query, name: ids, explode: false, schema: {type: array, items: {type: integer}}}
        - {in: query, name: box, style: deepObject, schema: {type: object, required: [x], properties: {x: {type: number}}}}
        - {in: query, name: where, content: {application/json: {schema: {type: object, required: [a]}}}}
        - {in: query, name: any, schema: {type: [integer, string], maxLength: 3}}
        - {in: cookie, name: sid, schema: {type: string, minLength: 4}}
      responses: {"200": {description: all, content: {application/json: {schema: {type: array, items: {$ref: "#/components/schemas/Order"}}}}}}
    post:
      requestBody:
        required: true
        content:
          application/json: {schema: {$ref: "#/components/schemas/Order"}}
          application/x-www-form-urlencoded: {schema: {type: object, required: [qty], properties: {qty: {type: integer}, tags: {type: array, items: {type: integer}}}}}
          multipart/form-data: {schema: {type: object, required: [qty], properties: {qty: {type: integer}}}}
          text/plain: {schema: {type: string, maxLength: 5}}
          application/octet-stream: {schema: {type: string, format: binary}}
      responses: {"201": {description: made}, 4XX: {description: no, content: {application/problem+json: {schema: {type: object}}}}}
  /orders/{id}:
    get:
      parameters: [{in: path, name: id, required: true, schema: {type: string, format: uuid}}]
      responses: {default: {description: one}}
  /orders/mine:
    get: {responses: {default: {description: one}}}
  /files/{name}.{type}:
    get:
      parameters: [{in: path, name: name, required: true, schema: {type: string}}, {in: path, name: type, required: true, schema: {enum: [pdf, csv]}}]
      responses: {default: {description: one}}
components:
  schemas:
    Order:
      type: object
      required: [id, qty, sku]
      additionalProperties: false
      properties:
        id: {type: string, readOnly: true}
        sku: {type: string, pattern: "^[A-Z]{3}$"}
        qty: {type: integer, format: int32, exclusiveMinimum: 0}
        note: {type: [string, "null"], maxLength: 4}
        mail: {type: string, format: email}
        lines: {type: array, uniqueItems: true, items: {type: object, required: [price], properties: {price: {type: number, multipleOf: 0.01}}}}
        pay: {oneOf: [{$ref: "#/components/schemas/Card"}, {$ref: "#/components/schemas/Bill"}]}
    Card: {type: object, required: [kind, number], properties: {kind: {const: card}, number: {type: string}}}
    Bill: {type: object, required: [kind, days], properties: {kind: {const: bill}, days: {type: integer}}}
`

func parse(t testing.TB, text string) *Document {
	t.Helper()
	d, err := Parse("openapi.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// ask gives what is wrong with a request, one fault a line.
func ask(t testing.TB, d *Document, method, target, body string, header ...string) string {
	t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	m, allowed := d.Find(r.Method, r.URL.EscapedPath())
	if m == nil {
		return "none; allowed: " + strings.Join(allowed, ", ")
	}
	return lines(m.CheckRequest(r, []byte(body)))
}

func lines(faults []Fault) string {
	var all []string
	for _, f := range faults {
		all = append(all, f.String())
	}
	return strings.Join(all, "\n")
}

func TestRequestsAreHeldAgainstTheDocument(t *testing.T) {
	d := parse(t, shop)
	const order = `{"sku":"ABC","qty":2}`
	jsonType := []string{"Content-Type", "application/json; charset=utf-8"}
	for _, c := range []struct {
		name, method, target, body string
		header                     []string
		want                       string
	}{
		{"good", "GET", "/orders?limit=5", "", nil, ""},
		{"below the server's path", "GET", "/v1/orders?limit=5", "", nil, ""},
		{"HEAD is GET", "HEAD", "/orders?limit=5", "", nil, ""},
		{"missing", "GET", "/orders", "", nil, "query parameter limit is missing"},
		{"type", "GET", "/orders?limit=x", "", nil, "query parameter limit is string, not integer"},
		{"a fraction", "GET", "/orders?limit=1.5", "", nil, "query parameter limit is number, not integer"},
		{"empty", "GET", "/orders?limit=", "", nil, "query parameter limit is string, not integer"},
		{"range", "GET", "/orders?limit=101", "", nil, "query parameter limit is 101, not at most 100"},
		{"twice", "GET", "/orders?limit=1&limit=2", "", nil, "query parameter limit is given more than once"},
		{"enum", "GET", "/orders?limit=1&state=lost", "", nil, `query parameter state is "lost", not one of "open", "closed"`},
		{"format", "GET", "/orders?limit=1&since=today", "", nil, `query parameter since is "today", not of the format date-time`},
		{"list", "GET", "/orders?limit=1&tag=1&tag=2", "", nil, ""},
		{"item", "GET", "/orders?limit=1&tag=1&tag=b", "", nil, "query parameter tag /1 is string, not integer"},
		{"items", "GET", "/orders?limit=1&tag=1&tag=2&tag=3", "", nil, "query parameter tag has 3 items, not at most 2"},
		{"list in one", "GET", "/orders?limit=1&ids=1,2,x", "", nil, "query parameter ids /2 is string, not integer"},
		{"deep object", "GET", "/orders?limit=1&box[x]=1.5", "", nil, ""},
		{"deep object's property", "GET", "/orders?limit=1&box[y]=1.5", "", nil, "query parameter box /x is missing"},
		{"JSON in a query", "GET", "/orders?limit=1&where=%7B%7D", "", nil, "query parameter where /a is missing"},
		{"no JSON in a query", "GET", "/orders?limit=1&where=%7B", "", nil, "query parameter where is no JSON, at byte 1: it ends in its midst"},
		{"several types", "GET", "/orders?limit=1&any=12345", "", nil, ""},
		{"several types, text", "GET", "/orders?limit=1&any=abcd", "", nil, "query parameter any has 4 characters, not at most 3"},
		{"header", "GET", "/orders?limit=1", "", []string{"x-tenant", "A1"}, `header X-Tenant is "A1", which does not fit the pattern "^[a-z]+$"`},
		{"cookie", "GET", "/orders?limit=1", "", []string{"Cookie", "sid=abc"}, "cookie sid has 3 characters, not at least 4"},
		{"several faults", "GET", "/orders?state=x", "", nil, "query parameter limit is missing\n" + `query parameter state is "x", not one of "open", "closed"`},
		{"broken query", "GET", "/orders?limit=1;a", "", nil, "query cannot be read: invalid semicolon separator in query"},
		{"path", "GET", "/orders/7", "", nil, `path parameter id is "7", not of the format uuid`},
		{"path written out", "GET", "/orders/mine", "", nil, ""},
		{"parts of a segment", "GET", "/files/a.b.csv", "", nil, `path parameter type is "b.csv", not one of "pdf", "csv"`},
		{"an escaped slash", "GET", "/orders/a%2Fb", "", nil, `path parameter id is "a/b", not of the format uuid`},
		{"unknown path", "GET", "/carts", "", nil, "none; allowed: "},
		{"unknown method", "DELETE", "/orders", "", nil, "none; allowed: GET, POST"},
		{"a slash more", "GET", "/orders/", "", nil, "none; allowed: "},

		{"body", "POST", "/orders", order, jsonType, ""},
		{"no body", "POST", "/orders", "", nil, "body is missing"},
		{"no body of a type", "POST", "/orders", "", jsonType, "body is empty"},
		{"no type", "POST", "/orders", order, nil, "body has no Content-Type; wanted is application/json or application/octet-stream or application/x-www-form-urlencoded or multipart/form-data or text/plain"},
		{"another type", "POST", "/orders", order, []string{"Content-Type", "text/xml"}, `body is of the type "text/xml", not application/json or application/octet-stream or application/x-www-form-urlencoded or multipart/form-data or text/plain`},
		{"an encoded body", "POST", "/orders", order, append([]string{"Content-Encoding", "gzip"}, jsonType...), `body is encoded ("gzip") and cannot be checked: send it as it is`},
		{"no JSON", "POST", "/orders", "{", jsonType, "body is no JSON, at byte 1: it ends in its midst"},
		{"two values", "POST", "/orders", order + "{}", jsonType, "body is no JSON, at byte 22: there is something behind the value"},
		{"a name twice", "POST", "/orders", `{"qty":-1,"qty":1}`, jsonType, `body is no JSON, at byte 15: "qty" is given twice`},
		{"a number without end", "POST", "/orders", `{"qty":1e999999999}`, jsonType, "body is no JSON, at byte 18: a number has too many digits"},
		{"not UTF-8", "POST", "/orders", "\"\xff\"", jsonType, "body is not UTF-8"},
		{"another JSON type", "POST", "/orders", "[]", jsonType, "body is array, not object"},
		{"property missing", "POST", "/orders", `{"qty":1}`, jsonType, "body /sku is missing"},
		{"property not known", "POST", "/orders", `{"sku":"ABC","qty":1,"x/y":1}`, jsonType, "body /x~1y is not known here"},
		{"pattern", "POST", "/orders", `{"sku":"abc","qty":1}`, jsonType, `body /sku is "abc", which does not fit the pattern "^[A-Z]{3}$"`},
		{"exclusive", "POST", "/orders", `{"sku":"ABC","qty":0}`, jsonType, "body /qty is 0, not above 0"},
		{"int32", "POST", "/orders", `{"sku":"ABC","qty":2147483648}`, jsonType, "body /qty is 2147483648, not of the format int32"},
		{"null", "POST", "/orders", `{"sku":"ABC","qty":1,"note":null}`, jsonType, ""},
		{"not null", "POST", "/orders", `{"sku":null,"qty":1}`, jsonType, "body /sku is null, not string"},
		{"email", "POST", "/orders", `{"sku":"ABC","qty":1,"mail":"x"}`, jsonType, `body /mail is "x", not of the format email`},
		{"far below", "POST", "/orders", `{"sku":"ABC","qty":1,"lines":[{"price":1},{"price":1.001}]}`, jsonType, "body /lines/1/price is 1.001, not a multiple of 0.01"},
		{"the same twice", "POST", "/orders", `{"sku":"ABC","qty":1,"lines":[{"price":1},{"price":1}]}`, jsonType, "body /lines has the same item twice, at 0 and 1"},
		{"one of several", "POST", "/orders", `{"sku":"ABC","qty":1,"pay":{"kind":"card","number":"1"}}`, jsonType, ""},
		{"the nearest of several", "POST", "/orders", `{"sku":"ABC","qty":1,"pay":{"kind":"card"}}`, jsonType, "body /pay/number is missing"},
		{"none of several", "POST", "/orders", `{"sku":"ABC","qty":1,"pay":7}`, jsonType, "body /pay fits none of its alternatives: is number, not object"},
		{"form", "POST", "/orders", "qty=1&tags=1&tags=2", []string{"Content-Type", formType}, ""},
		{"a form's field", "POST", "/orders", "qty=x&tags=1&tags=b", []string{"Content-Type", formType}, "body /qty is string, not integer\nbody /tags/1 is string, not integer"},
		{"parts", "POST", "/orders", "--b\r\nContent-Disposition: form-data; name=\"qty\"\r\n\r\nx\r\n--b--\r\n", []string{"Content-Type", "multipart/form-data; boundary=b"}, "body /qty is string, not integer"},
		{"no parts", "POST", "/orders", "x", []string{"Content-Type", "multipart/form-data; boundary=b"}, "body is no form in several parts: multipart: NextPart: EOF"},
		{"text", "POST", "/orders", "abcdef", []string{"Content-Type", "text/plain"}, "body has 6 characters, not at most 5"},
		{"bytes are not looked at", "POST", "/orders", "\xff\xfe", []string{"Content-Type", "application/octet-stream"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := ask(t, d, c.method, c.target, c.body, c.header...); got != c.want {
				t.Errorf("%s %s: got\n%s\nwant\n%s", c.method, c.target, got, c.want)
			}
		})
	}
}

func TestAnswersAreHeldAgainstTheDocument(t *testing.T) {
	d := parse(t, shop)
	get, _ := d.Find("GET", "/orders")
	post, _ := d.Find("POST", "/orders")
	for _, c := range []struct {
		m          *Match
		status     int
		kind, body string
		want       string
	}{
		{get, 200, "application/json", `[{"id":"1","sku":"ABC","qty":1}]`, ""},
		{get, 200, "application/json", `[{"sku":"ABC","qty":1}]`, "body /0/id is missing"}, // readOnly is for requests
		{get, 200, "text/html", `<p>`, `body is of the type "text/html", not application/json`},
		{get, 200, "application/json", ``, "body is empty"},
		{get, 500, "application/json", `{}`, "status 500 is not in the document"},
		{post, 201, "", "", ""},
		{post, 201, "application/json", `{}`, ""},
		{post, 418, "application/problem+json", `[]`, "body is array, not object"},
	} {
		if got := lines(c.m.CheckAnswer(c.status, http.Header{"Content-Type": {c.kind}}, []byte(c.body))); got != c.want {
			t.Errorf("CheckAnswer(%d, %s) = %q, want %q", c.status, c.body, got, c.want)
		}
	}
}

func TestVersion30HasItsOwnDialect(t *testing.T) {
	d := parse(t, `{"openapi":"3.0.3","info":{"title":"t","version":"1"},"paths":{"/a":{"post":{"responses":{},"requestBody":{"content":{"application/json":{"schema":{
	"type":"object","properties":{"n":{"type":"integer","minimum":3,"exclusiveMinimum":true},"t":{"type":"string","nullable":true,"enum":["a"]},
	"r":{"$ref":"#/components/schemas/R","maxLength":1},"example":{"type":"boolean"}}}}}}}}},"components":{"schemas":{"R":{"type":"string"}}}}`)
	for body, want := range map[string]string{
		`{"n":3}`:        "body /n is 3, not above 3",
		`{"n":4}`:        "",
		`{"t":null}`:     "",
		`{"r":"long"}`:   "", // what stands beside a reference does not count
		`{"r":1}`:        "body /r is number, not string",
		`{"example":""}`: "body /example is string, not boolean",
	} {
		if got := ask(t, d, "POST", "/a", body, "Content-Type", "application/json"); got != want {
			t.Errorf("%s: got %q, want %q", body, got, want)
		}
	}
}

// Each level of such a value has two alternatives that are alike to the end: without a bound it takes hours.
func TestAValueMadeToTakeLongIsRefusedSoon(t *testing.T) {
	d := parse(t, `
openapi: 3.1.0
paths:
  /sums: {post: {responses: {}, requestBody: {content: {application/json: {schema: {$ref: "#/components/schemas/E"}}}}}}
components:
  schemas:
    E: {oneOf: [{$ref: "#/components/schemas/A"}, {$ref: "#/components/schemas/M"}, {type: number}]}
    A: {type: object, properties: {op: {const: add}, l: {$ref: "#/components/schemas/E"}, r: {$ref: "#/components/schemas/E"}}}
    M: {type: object, properties: {op: {const: mul}, l: {$ref: "#/components/schemas/E"}, r: {$ref: "#/components/schemas/E"}}}
`)
	body := strings.Repeat(`{"op":"add","l":1,"r":`, 60) + `null` + strings.Repeat("}", 60)
	start := time.Now()
	got := ask(t, d, "POST", "/sums", body, "Content-Type", "application/json")
	if !strings.Contains(got, "too long to check") {
		t.Errorf("got %q", got)
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("it took %v", took)
	}
	if got := ask(t, d, "POST", "/sums", `{"op":"add","l":1,"r":2}`, "Content-Type", "application/json"); got != "" {
		t.Errorf("behind it: got %q", got)
	}
}

// TestWhatIsGivenTwiceIsRefused: a check of the first alone would let the function have the other.
func TestWhatIsGivenTwiceIsRefused(t *testing.T) {
	d := parse(t, shop)
	for target, want := range map[string]string{
		`/orders?limit=1&where={"a":1}&where={}`: "query parameter where is given more than once",
		"/orders?limit=1&box[x]=1&box[x]=y":      `query parameter box has "x" more than once`,
	} {
		if got := ask(t, d, "GET", target, ""); got != want {
			t.Errorf("%s: got %q, want %q", target, got, want)
		}
	}
	m, _ := d.Find("POST", "/orders")
	r := httptest.NewRequest("POST", "/orders", nil)
	r.Header["Content-Type"] = []string{"application/octet-stream", "application/json"}
	if faults := m.CheckRequest(r, []byte(`{}`)); len(faults) != 1 || faults[0].Message != "has more than one Content-Type" {
		t.Errorf("two types: %v", faults)
	}
}
