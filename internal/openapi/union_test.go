package openapi

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
)

func TestRoutesAreOneDocument(t *testing.T) {
	const doc = `openapi: 3.0.3
servers: [{url: /api}]
paths:
  /orders/{id}:
    parameters: [{$ref: "#/components/parameters/Id"}]
    get:
      operationId: get
      security: [{mine: []}]
      parameters: [{in: query, name: q, schema: {type: integer, minimum: 1, exclusiveMinimum: true}}]
      responses: {"200": {description: one, content: {application/json: {schema: {$ref: "#/components/schemas/Order"}}}}}
    put: {responses: {"200": {$ref: "#/paths/~1orders~1{id}/get/responses/200"}}}
  /other: {get: {responses: {default: {description: it}}}}
components:
  parameters: {Id: {in: path, name: id, required: true, schema: {type: string}}}
  securitySchemes: {mine: {type: http, scheme: basic}}
  schemas:
    Order: {type: object, nullable: true, properties: {next: {$ref: "#/components/schemas/Order"}}, discriminator: {propertyName: k, mapping: {a: Order, b: "#/components/schemas/Order"}}}
`
	one, two := parse(t, doc), parse(t, doc)
	basic := &Auth{Name: "basic", Scheme: map[string]any{"type": "http", "scheme": "basic"}}
	text := Union("shop", []Route{
		{Function: "shop", Name: "orders", Path: "/api/orders/{id}", Host: "shop.example", Auth: basic, Limited: true, Doc: one, File: "a.yaml"},
		{Function: "staging.shop", Name: "orders", Method: "GET", Path: "/api/{rest...}", Doc: two, File: "a.yaml", Auth: &Auth{Name: "basic", Scheme: map[string]any{"type": "http", "scheme": "basic", "description": "other"}}},
		{Function: "files", Name: "all", Method: "GET", Path: "/files/{name}/{path...}", Auth: basic},
		{Function: "any", Name: "home", Path: "/{$}"},
		{Function: "dav", Name: "find", Method: "PROPFIND", Path: "/dav"},
	})
	d := parse(t, string(text)) // a document that is read like any other
	root := func(at ...string) any { return find(d.root, at) }
	for _, c := range []struct {
		at   pointer
		want string
	}{
		{pointer{"openapi"}, `"3.1.0"`},
		{pointer{"info", "title"}, `"shop"`},
		{pointer{"paths", "/api/orders/{id}", "get", "operationId"}, `"shop_get"`},
		{pointer{"paths", "/api/orders/{id}", "get", "parameters", "0", "$ref"}, `"#/components/parameters/shop_Id"`},
		{pointer{"paths", "/api/orders/{id}", "get", "parameters", "1", "schema"}, `{"exclusiveMinimum":1,"type":"integer"}`},
		{pointer{"paths", "/api/orders/{id}", "get", "responses", "200", "content", "application/json", "schema", "$ref"}, `"#/components/schemas/shop_Order"`},
		{pointer{"paths", "/api/orders/{id}", "put", "responses", "200", "content", "application/json", "schema", "$ref"}, `"#/components/schemas/shop_Order"`},
		{pointer{"paths", "/api/orders/{id}", "get", "responses", "401", "$ref"}, `"#/components/responses/dalamb_Error"`},
		{pointer{"paths", "/api/orders/{id}", "get", "responses", "429", "$ref"}, `"#/components/responses/dalamb_Error"`},
		{pointer{"paths", "/api/orders/{id}", "get", "security"}, `[{"basic":[]}]`},
		{pointer{"paths", "/api/orders/{id}", "get", "servers"}, `[{"url":"//shop.example"}]`},
		{pointer{"paths", "/api/orders/{id}", "x-dalamb-also", "0", "security"}, `[{"basic2":[]}]`},
		{pointer{"paths", "/api/orders/{id}", "x-dalamb-also", "0", "x-dalamb"}, `{"function":"staging.shop","method":"GET","route":"orders"}`},
		{pointer{"paths", "/api/other", "get", "x-dalamb", "function"}, `"staging.shop"`},
		{pointer{"components", "schemas", "shop_Order", "type"}, `["object","null"]`},
		{pointer{"components", "schemas", "shop_Order", "discriminator", "mapping"}, `{"a":"shop_Order","b":"#/components/schemas/shop_Order"}`},
		{pointer{"components", "schemas", "staging.shop_Order", "properties", "next", "$ref"}, `"#/components/schemas/staging.shop_Order"`},
		{pointer{"components", "securitySchemes"}, `{"basic":{"scheme":"basic","type":"http"},"basic2":{"description":"other","scheme":"basic","type":"http"}}`},
		{pointer{"paths", "/files/{name}/{path}", "get", "parameters", "1", "name"}, `"path"`},
		{pointer{"paths", "/", "patch", "x-dalamb", "function"}, `"any"`},
		{pointer{"paths", "/dav"}, `null`},
		{pointer{"paths", "/api/orders/{id}", "get", "responses", "400", "$ref"}, `"#/components/responses/dalamb_Error"`},
		{pointer{"paths", "/api/orders/{id}", "x-dalamb-also", "1"}, `null`}, // the second route takes GET alone
		{pointer{"paths", "/files/{name}/{path}", "get", "parameters", "0"}, `{"in":"path","name":"name","required":true,"schema":{"type":"string"}}`},
		{pointer{"paths", "/files/{name}/{path}", "get", "parameters", "1", "description"}, `"the rest of the path, with its slashes"`},
	} {
		got, err := json.Marshal(root(c.at...))
		if err != nil || string(got) != c.want {
			t.Errorf("%s = %s, want %s", c.at.text(), got, c.want)
		}
	}
	if again := Union("shop", nil); strings.Contains(string(again), "securitySchemes") {
		t.Errorf("a union of nothing: %s", again)
	}
}

func TestWhichPathsARouteCovers(t *testing.T) {
	for _, c := range []struct {
		route, path string
		want        bool
	}{
		{"/a", "/a", true}, {"/a", "/a/b", false}, {"/a", "/b", false}, {"/{x}", "/a", true}, {"/{x}", "/{y}", true}, {"/a/{x}", "/{y}/b", false},
		{"/a/", "/a/b/c", true}, {"/a/", "/a/", true}, {"/{r...}", "/a/b", true}, {"/", "/a", true}, {"/{$}", "/", true}, {"/{$}", "/a", false}, {"/a/{r...}", "/a", false},
	} {
		if got := covers(c.route, c.path); got != c.want {
			t.Errorf("covers(%q, %q) = %v, want %v", c.route, c.path, got, c.want)
		}
	}
}

func TestADocumentIsTheSameInYAML(t *testing.T) {
	text, err := YAML(Union("shop", nil))
	if err != nil || !strings.Contains(string(text), "\ninfo:\n  title: shop\n") || !strings.Contains(string(text), `version: "1"`) {
		t.Errorf("YAML = %s, %v", text, err)
	}
	parse(t, string(text))
}

func TestAUnionInlinesSoMuchAndNoMore(t *testing.T) {
	var refs []string
	for level := range 3 {
		one := `{$ref: "#/x-parts/l` + strconv.Itoa(level+1) + `"}`
		refs = append(refs, "  l"+strconv.Itoa(level)+": {allOf: ["+strings.TrimSuffix(strings.Repeat(one+", ", 100), ", ")+"]}")
	}
	doc := "openapi: 3.0.3\npaths: {/a: {get: {responses: {default: {description: it, content: {application/json: {schema: {$ref: '#/x-parts/l0'}}}}}}}}\nx-parts:\n" +
		strings.Join(refs, "\n") + "\n  l3: {type: string, nullable: true}\n"
	var root any
	if err := json.Unmarshal(Union("f", []Route{{Function: "f", Name: "a", Path: "/a", Doc: parse(t, doc), File: "a.yaml"}}), &root); err != nil {
		t.Fatal(err)
	}
	if n := count(root); n < maxNodes/100 || n > 2*maxNodes {
		t.Errorf("the union has %d values, want about %d", n, maxNodes)
	}
	at, _ := parsePointer("#/paths/~1a/get/responses/default/content/application~1json/schema/allOf/0/allOf/0/allOf/0")
	if got, _ := json.Marshal(find(root, at)); string(got) != `{"type":["string","null"]}` {
		t.Errorf("a schema outside of the components is %s, want it in the newer dialect", got)
	}
}

func TestADocumentSaysOfARouteWhatTheRouteDoesNot(t *testing.T) {
	doc := parse(t, `openapi: 3.1.0
paths:
  /a/{id}:
    parameters: [{in: path, name: id, required: true, schema: {type: string}}, {in: query, name: q, schema: {type: string}}]
    get:
      security: [{mine: []}]
      servers: [{url: "https://elsewhere.example"}]
      parameters: [{in: query, name: q, schema: {type: integer}}]
      responses: {"200": {description: one, content: {application/json: {schema: {$ref: "#/components/schemas/A"}}}}, "400": {description: its own}}
components:
  schemas:
    A: {type: object, nullable: true, discriminator: {propertyName: k, mapping: {a: A, b: "https://a.example/b", c: B, d: /components/schemas/A}}}
`)
	route := func(name, file, host string) Route {
		return Route{Function: "f", Name: name, Path: "/a/{id}", Host: host, Doc: doc, File: file}
	}
	var root any
	if err := json.Unmarshal(Union("f", []Route{route("one", "a.yaml", ""), route("two", "a.yaml", "two.example"), route("three", "b.yaml", "three.example")}), &root); err != nil {
		t.Fatal(err)
	}
	schema := pointer{"responses", "200", "content", "application/json", "schema", "$ref"}
	get, also := pointer{"paths", "/a/{id}", "get"}, pointer{"paths", "/a/{id}", "x-dalamb-also"}
	under := func(p pointer, more ...string) pointer { return append(p[:len(p):len(p)], more...) }
	for _, c := range []struct {
		at   pointer
		want string
	}{
		{under(get, "security"), `null`},
		{under(get, "servers"), `null`},
		{under(get, "parameters"), `[{"in":"path","name":"id","required":true,"schema":{"type":"string"}},{"in":"query","name":"q","schema":{"type":"integer"}}]`},
		{under(get, "responses", "400"), `{"description":"its own"}`},
		{under(get, schema...), `"#/components/schemas/f_A"`},
		{under(also, append(pointer{"0"}, schema...)...), `"#/components/schemas/f_A"`}, // of the same file
		{under(also, append(pointer{"1"}, schema...)...), `"#/components/schemas/f_three_A"`},
		{under(also, "1", "servers", "0", "url"), `"//three.example"`},
		{pointer{"components", "schemas", "f_two_A"}, `null`},
		{pointer{"components", "schemas", "f_A"}, `{"discriminator":{"mapping":{"a":"f_A","b":"https://a.example/b","c":"B","d":"/components/schemas/A"},"propertyName":"k"},"nullable":true,"type":"object"}`}, // as it was: nothing of it is of the older dialect
	} {
		if got, err := json.Marshal(find(root, c.at)); err != nil || string(got) != c.want {
			t.Errorf("%s = %s, want %s", c.at.text(), got, c.want)
		}
	}
}

func TestAPartThatRefersToItselfIsFollowedSoDeepAndNoDeeper(t *testing.T) {
	doc := parse(t, `openapi: 3.1.0
paths: {/a: {get: {responses: {default: {description: it, content: {application/json: {schema: {$ref: "#/x-parts/a"}}}}}}}}
x-parts: {a: {type: object, properties: {a: {$ref: "#/x-parts/a"}}}}
`)
	var root any
	if err := json.Unmarshal(Union("f", []Route{{Function: "f", Name: "a", Path: "/a", Doc: doc, File: "a.yaml"}}), &root); err != nil {
		t.Fatal(err)
	}
	at, _ := parsePointer("#/paths/~1a/get/responses/default/content/application~1json/schema")
	v, depth := find(root, at), 0
	for ; find(v, pointer{"type"}) != nil; depth++ {
		v = find(v, pointer{"properties", "a"})
	}
	if got, _ := json.Marshal(v); depth != maxInlined || string(got) != "{}" {
		t.Errorf("it is followed %d deep, and then %s, want %d and nothing", depth, got, maxInlined)
	}
}
