package openapi

import (
	"net/http"
	"testing"
)

func TestAnswersAreMadeUp(t *testing.T) {
	d := parse(t, `openapi: 3.1.0
paths:
  /a:
    get:
      responses:
        "200":
          content:
            application/json:
              schema: {type: object, required: [id], properties: {
                id: {type: string, format: uuid}, at: {type: string, format: date-time}, sku: {type: string, pattern: "^[A-Z]{3}-[0-9]+(x|y)$"}, n: {type: integer, minimum: 7}, less: {type: number, exclusiveMaximum: 0},
                half: {type: number, minimum: 1.2, multipleOf: 0.5}, ok: {type: boolean}, list: {type: array, minItems: 2, items: {enum: [a, b]}}, secret: {type: string, writeOnly: true}, long: {type: string, minLength: 6},
                short: {type: string, maxLength: 2}, both: {allOf: [{$ref: "#/components/schemas/A"}, {type: object, properties: {b: {const: 2}}}]}, either: {oneOf: [{type: string}, {type: integer}]}, self: {$ref: "#/components/schemas/S"}, none: {type: "null"}}}
        "404": {content: {application/json: {examples: {gone: {value: {error: gone}}, never: {$ref: "#/components/examples/Never"}}}}}
        5XX: {content: {text/plain: {example: broken}}}
    delete: {responses: {"204": {description: gone}}}
    put: {responses: {default: {content: {"*/*": {schema: {type: string}}}}}}
components:
  examples: {Never: {value: {error: never}}}
  schemas:
    A: {type: object, properties: {a: {default: 1}}}
    S: {type: object, required: [next], properties: {next: {type: array, items: {$ref: "#/components/schemas/S"}}}}
`)
	for _, c := range []struct {
		method string
		wanted Wanted
		status int
		kind   string
		body   string
	}{
		{"GET", Wanted{Status: 404}, 404, "application/json", `{"error":"gone"}`},
		{"GET", Wanted{Status: 404, Example: "never"}, 404, "application/json", `{"error":"never"}`},
		{"GET", Wanted{Status: 503}, 503, "text/plain", `broken`},
		{"DELETE", Wanted{}, 204, "", ``},
		{"PUT", Wanted{}, 200, "application/json", `"text"`},
		{"PUT", Wanted{Status: 418}, 418, "application/json", `"text"`},
	} {
		m, _ := d.Find(c.method, "/a")
		made, err := m.Answer(c.wanted)
		if err != nil || made.Status != c.status || made.Type != c.kind || string(made.Body) != c.body {
			t.Errorf("%s %+v = %+v %s, %v; want %d %s %s", c.method, c.wanted, made, made.Body, err, c.status, c.kind, c.body)
		}
	}
	m, _ := d.Find("GET", "/a")
	made, err := m.Answer(Wanted{})
	if err != nil {
		t.Fatal(err)
	}
	again, _ := m.Answer(Wanted{})
	if string(again.Body) != string(made.Body) {
		t.Errorf("another answer to the same question:\n%s\n%s", made.Body, again.Body)
	}
	if faults := m.CheckAnswer(made.Status, http.Header{"Content-Type": {made.Type}}, made.Body); len(faults) > 0 {
		t.Errorf("%s is not as its document says: %s", made.Body, lines(faults))
	}
	if len(made.Body) > 1000 {
		t.Errorf("a schema that refers to itself makes %d bytes", len(made.Body))
	}
	for want, w := range map[string]Wanted{
		"GET /a has no answer with status 302 in the document": {Status: 302},
		`the document has no example "x" there`:                {Status: 404, Example: "x"},
	} {
		if _, err := m.Answer(w); err == nil || err.Error() != want {
			t.Errorf("Answer(%+v): %v, want %s", w, err, want)
		}
	}
}
