package openapi

import (
	"strings"
	"testing"
)

func TestADocumentThatIsWrongIsRefusedWithItsLine(t *testing.T) {
	const head = "openapi: 3.1.0\npaths:\n"
	schema := func(s string) string {
		return head + "  /a:\n    get:\n      parameters:\n        - {in: query, name: q, schema: " + s + "}\n"
	}
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "x.yaml is empty"},
		{"no YAML", "a: [", "x.yaml:1:5: not valid YAML: the text ends where a value is expected"},
		{"no mapping", "- a", "x.yaml is no OpenAPI document: it is no mapping"},
		{"twice", "openapi: 3.1.0\nopenapi: 3.0.0", `x.yaml:2: "openapi" is given twice`},
		{"no version", "paths: {}", "x.yaml:1: names no version of OpenAPI"},
		{"Swagger", "info: {}\nswagger: '2.0'", "x.yaml:2: /swagger: the document is of Swagger 2.0"},
		{"another version", "openapi: 4.0.0", `x.yaml:1: /openapi: is "4.0.0", not 3.0.x or 3.1.x`},
		{"no paths", "openapi: 3.0.0", "x.yaml:1: /paths: has no paths"},
		{"a path without a slash", head + "  a: {}", "x.yaml:3: /paths/a: does not begin with a slash"},
		{"a parameter that is not described", head + "  /a/{b}:\n    get: {}", "x.yaml:4: /paths/~1a~1{b}/get: does not describe {b} of its path"},
		{"a brace", head + "  /a/{b: {}", "x.yaml:3: /paths/~1a~1{b: has a brace without a name"},
		{"the same path", head + "  /a/{b}: {}\n  /a/{c}: {}", "x.yaml:4: /paths/~1a~1{c}: is the same as another path but for the names of its parameters"},
		{"a status", head + "  /a:\n    get: {responses: {OK: {}}}", `x.yaml:4: /paths/~1a/get/responses/OK: "OK" is no status`},
		{"a URL", schema(`{$ref: "http://169.254.169.254/x"}`), `x.yaml:6: /paths/~1a/get/parameters/0/schema/$ref: refers to "http://169.254.169.254/x", outside of the document`},
		{"a file", schema(`{$ref: "/etc/passwd"}`), `x.yaml:6: /paths/~1a/get/parameters/0/schema/$ref: refers to "/etc/passwd", outside of the document`},
		{"nowhere", schema(`{$ref: "#/components/schemas/A"}`), `x.yaml:6: /paths/~1a/get/parameters/0/schema/$ref: refers to "#/components/schemas/A", which is not there`},
		{"an address", schema(`{$id: "http://a"}`), `x.yaml:6: /paths/~1a/get/parameters/0/schema/$id: a schema cannot have an address of its own here`},
		{"a pattern", schema(`{pattern: "(?=a)"}`), `x.yaml:6: /paths/~1a/get/parameters/0/schema/pattern: the schema is none: is "(?=a)", not of the format regex`},
		{"no type", schema(`{type: text}`), `x.yaml:6: /paths/~1a/get/parameters/0/schema/type: the schema is none: fits none of its alternatives: is "text", not one of "array", "boolean", "integer", "null", "number", "object", "string"; or is string, not array`},
		{"no schema", schema(`7`), "x.yaml:6: /paths/~1a/get/parameters/0/schema: the schema is none: is number, not boolean or object"},
		{"a style", head + "  /a: {get: {parameters: [{in: query, name: q, style: matrix}]}}", `x.yaml:3: /paths/~1a/get/parameters/0/style: the style "matrix" is not supported for a parameter in query`},
		{"nowhere to be", head + "  /a: {get: {parameters: [{in: body, name: q}]}}", `x.yaml:3: /paths/~1a/get/parameters/0: is in "body", not in path, query, header or cookie`},
		{"a circle", head + "  /a: {get: {parameters: [{$ref: '#/components/parameters/P'}]}}\ncomponents: {parameters: {P: {$ref: '#/components/parameters/P'}}}", "x.yaml:4: /components/parameters/P: is no parameter"},
		{"infinity", head + "  /a: {x-n: .inf}", `x.yaml:3: ".inf" is no number that JSON has`},
		{"aliases that grow", "openapi: 3.1.0\nx-a: &a [1,1,1,1,1,1,1,1,1,1]\nx-b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nx-c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nx-d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\nx-e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nx-f: [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]",
			"x.yaml:2: the document nests too deeply or repeats too much by aliases: at most 100 levels and 400000 values"},
		{"an alias of itself", "openapi: 3.1.0\nx-a: &a [*a]", "x.yaml:2: the document nests too deeply or repeats too much by aliases: at most 100 levels and 400000 values"},
		{"depth", strings.Repeat("[", 200) + strings.Repeat("]", 200), "x.yaml:1: the document nests too deeply or repeats too much by aliases: at most 100 levels and 400000 values"},
		{"size", strings.Repeat(" ", MaxBytes+1), "x.yaml has 4194305 bytes; a document has at most 4194304"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("x.yaml", []byte(c.text))
			if err == nil || err.Error() != c.want {
				t.Errorf("Parse: %v, want %s", err, c.want)
			}
		})
	}
}

// What refers to itself is a schema like any other, until a value would have to be endless.
func TestASchemaMayReferToItself(t *testing.T) {
	d := parse(t, "openapi: 3.1.0\npaths:\n  /a: {post: {requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/N'}}}}}}\n"+
		"components: {schemas: {N: {type: object, properties: {next: {$ref: '#/components/schemas/N'}, v: {type: integer}}}}}")
	if got, want := ask(t, d, "POST", "/a", `{"next":{"next":{"v":"x"}}}`, "Content-Type", "application/json"), "body /next/next/v is string, not integer"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDocumentsInJSONMayBeIndentedByTabs(t *testing.T) {
	d := parse(t, "{\n\t\"openapi\": \"3.1.0\",\n\t\"paths\": {\n\t\t\"/a\": {\"get\": {}}\n\t}\n}")
	if len(d.Operations()) != 1 {
		t.Errorf("operations: %d, want 1", len(d.Operations()))
	}
}
