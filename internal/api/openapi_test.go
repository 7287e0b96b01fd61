package api

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func document(t *testing.T) map[string]any {
	t.Helper()
	n := newNode(t)
	a := n.do("GET", "/v1/openapi.json", "")
	if a.status != 200 {
		t.Fatalf("GET /v1/openapi.json = %d %s", a.status, a.body)
	}
	var doc map[string]any
	ok(t, json.Unmarshal([]byte(a.body), &doc))
	return doc
}

// at walks into nested objects.
func at(v any, path ...string) any {
	for _, p := range path {
		m, _ := v.(map[string]any)
		v = m[p]
	}
	return v
}

func TestEveryRouteIsInTheDocument(t *testing.T) {
	doc := document(t)
	if doc["openapi"] != "3.1.0" || at(doc, "info", "version") != "1.2.3" || at(doc, "info", "title") == nil {
		t.Errorf("openapi %v, info %v", doc["openapi"], doc["info"])
	}
	ids := map[string]bool{}
	routes := (*API)(nil).routes()
	for _, r := range routes {
		op := at(doc, "paths", r.Path, strings.ToLower(r.Method))
		if op == nil {
			t.Errorf("%s %s is not in the document", r.Method, r.Path)
			continue
		}
		id, _ := at(op, "operationId").(string)
		if id == "" || ids[id] {
			t.Errorf("%s %s: operationId %q is empty or taken", r.Method, r.Path, id)
		}
		ids[id] = true
		if at(op, "summary") == "" {
			t.Errorf("%s %s has no summary", r.Method, r.Path)
		}
		if at(op, "responses", fmt.Sprint(r.status())) == nil || at(op, "responses", "401") == nil {
			t.Errorf("%s %s: responses %v", r.Method, r.Path, at(op, "responses"))
		}
		if (r.Body != nil) != (at(op, "requestBody", "content", "application/json", "schema", "$ref") != nil) {
			t.Errorf("%s %s: request body %v", r.Method, r.Path, at(op, "requestBody"))
		}
		if (r.serve == nil) == (r.raw == nil) {
			t.Errorf("%s %s: exactly one of serve and raw is set", r.Method, r.Path)
		}
	}
	count := 0
	for _, ops := range at(doc, "paths").(map[string]any) {
		count += len(ops.(map[string]any))
	}
	if count != len(routes) {
		t.Errorf("the document has %d operations, the table %d", count, len(routes))
	}
}

// TestTheDocumentIsSound checks what a reader of OpenAPI 3.1 relies on: sections 4.8.9 to 4.8.12 and 4.8.24 of the specification.
func TestTheDocumentIsSound(t *testing.T) {
	doc := document(t)
	known := map[string]bool{"$ref": true, "type": true, "format": true, "items": true, "properties": true, "required": true,
		"additionalProperties": true, "enum": true, "contentEncoding": true}
	types := []any{"object", "array", "string", "integer", "number", "boolean"}
	schemas := at(doc, "components", "schemas").(map[string]any)
	used := map[string]bool{}
	var schema func(where string, s map[string]any)
	schema = func(where string, s map[string]any) {
		for k := range s {
			if !known[k] {
				t.Errorf("%s: %q is no keyword that is used here", where, k)
			}
		}
		if ref, ok := s["$ref"].(string); ok {
			name := strings.TrimPrefix(ref, "#/components/schemas/")
			if schemas[name] == nil {
				t.Errorf("%s: %s leads nowhere", where, ref)
			}
			used[name] = true
			return
		}
		if typ, ok := s["type"]; ok && !slices.Contains(types, typ) {
			t.Errorf("%s: type %v", where, typ)
		}
		if items, ok := s["items"].(map[string]any); ok != (s["type"] == "array") {
			t.Errorf("%s: items and array go together", where)
		} else if ok {
			schema(where+"[]", items)
		}
		if more, ok := s["additionalProperties"].(map[string]any); ok {
			schema(where+"{}", more)
		}
		properties, _ := s["properties"].(map[string]any)
		for name, p := range properties {
			schema(where+"."+name, p.(map[string]any))
		}
		required, _ := s["required"].([]any)
		for _, r := range required {
			if properties[r.(string)] == nil {
				t.Errorf("%s: %v is required and not there", where, r)
			}
		}
	}
	for name, s := range schemas {
		schema(name, s.(map[string]any))
	}
	inPath := regexp.MustCompile(`\{([^}]*)\}`)
	for path, ops := range at(doc, "paths").(map[string]any) {
		for method, op := range ops.(map[string]any) {
			where := method + " " + path
			var want, got []string
			for _, m := range inPath.FindAllStringSubmatch(path, -1) {
				want = append(want, m[1])
			}
			seen := map[string]bool{}
			params, _ := at(op, "parameters").([]any)
			for _, p := range params {
				in, name := at(p, "in").(string), at(p, "name").(string)
				if seen[in+name] {
					t.Errorf("%s: parameter %s is there twice", where, name)
				}
				seen[in+name] = true
				schema(where+" "+name, at(p, "schema").(map[string]any))
				if in == "path" {
					got = append(got, name)
					if at(p, "required") != true {
						t.Errorf("%s: path parameter %s is not required", where, name)
					}
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: path parameters %q, want %q", where, got, want)
			}
			bodies := []any{at(op, "requestBody")}
			responses, _ := at(op, "responses").(map[string]any)
			for code, r := range responses {
				if len(code) != 3 || at(r, "description") == "" {
					t.Errorf("%s: response %s has no description", where, code)
				}
				bodies = append(bodies, r)
			}
			for _, b := range bodies {
				content, _ := at(b, "content").(map[string]any)
				for media, c := range content {
					schema(where+" "+media, at(c, "schema").(map[string]any))
				}
			}
		}
	}
	for name := range schemas {
		if !used[name] {
			t.Errorf("component %s is used by nobody", name)
		}
	}
	for _, s := range doc["security"].([]any) {
		for name := range s.(map[string]any) {
			if at(doc, "components", "securitySchemes", name) == nil {
				t.Errorf("security scheme %q is not defined", name)
			}
		}
	}
}

func TestSchemasSayWhatJSONHolds(t *testing.T) {
	doc := OpenAPI("x")
	b, err := json.Marshal(doc)
	ok(t, err)
	var plain any
	ok(t, json.Unmarshal(b, &plain))
	for _, c := range []struct {
		path []string
		want string
	}{
		{[]string{"Spec", "properties", "timeout"}, `{"type":"string"}`},
		{[]string{"Resources", "properties", "memory"}, `{"type":"string"}`},
		{[]string{"Resources", "properties", "cpu"}, `{"type":"number"}`},
		{[]string{"Spec", "properties", "env"}, `{"additionalProperties":{"type":"string"},"type":"object"}`},
		{[]string{"Alias", "properties", "weights"}, `{"additionalProperties":{"type":"integer"},"type":"object"}`},
		{[]string{"Run", "properties", "resultRaw"}, `{"contentEncoding":"base64","type":"string"}`},
		{[]string{"Run", "properties", "result"}, `{}`},
		{[]string{"Run", "properties", "finished"}, `{"format":"date-time","type":"string"}`},
		{[]string{"Run", "properties", "attempts"}, `{"items":{"$ref":"#/components/schemas/Attempt"},"type":"array"}`},
		{[]string{"Node", "properties", "space"}, `{"enum":["ok","low","empty"],"type":"string"}`},
		{[]string{"ErrorBody", "required"}, `["error"]`},
	} {
		got, err := json.Marshal(at(plain, append([]string{"components", "schemas"}, c.path...)...))
		ok(t, err)
		if string(got) != c.want {
			t.Errorf("schema of %s = %s, want %s", strings.Join(c.path, "."), got, c.want)
		}
	}
	// wire.Trigger embeds function.Trigger and shares its name.
	shown := at(plain, "components", "schemas", "Function", "properties", "triggers", "items", "$ref").(string)
	properties := at(plain, "components", "schemas", strings.TrimPrefix(shown, "#/components/schemas/"), "properties")
	for _, f := range []string{"name", "filter", "paused", "lag"} {
		if at(properties, f) == nil {
			t.Errorf("%s has no %q", shown, f)
		}
	}
	declared := at(plain, "components", "schemas", "Spec", "properties", "triggers", "items", "$ref").(string)
	if declared == shown {
		t.Errorf("the trigger of a spec and that of an answer are both %s", shown)
	}
}
