package function

import (
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// paths lists the fields that a schema knows.
func paths(schema map[string]any, at string) []string {
	var out []string
	if items, ok := schema["items"].(map[string]any); ok {
		out = append(out, paths(items, at+"[]")...)
	}
	properties, _ := schema["properties"].(map[string]any)
	for name, s := range properties {
		out = append(out, join(at, name))
		out = append(out, paths(s.(map[string]any), join(at, name))...)
	}
	return out
}

// jsonPaths lists the fields that a Go type has in JSON.
func jsonPaths(typ reflect.Type, at string) []string {
	switch typ.Kind() {
	case reflect.Pointer:
		return jsonPaths(typ.Elem(), at)
	case reflect.Slice:
		return jsonPaths(typ.Elem(), at+"[]")
	case reflect.Struct:
		var out []string
		if typ.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
			return nil // one word
		}
		for f := range typ.Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if f.Anonymous && name == "" {
				out = append(out, jsonPaths(f.Type, at)...)
				continue
			}
			out = append(out, join(at, name))
			out = append(out, jsonPaths(f.Type, join(at, name))...)
		}
		return out
	}
	return nil
}

func TestSchemaHasEveryFieldOfASpec(t *testing.T) {
	var schema map[string]any
	if err := json.Unmarshal(Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	got := slices.Sorted(slices.Values(paths(schema, "")))
	want := slices.Sorted(slices.Values(append(jsonPaths(reflect.TypeFor[Spec](), ""), "code", "deliver", "deliver.branches", "build", "build.type", "build.target", "build.command", "build.output", "build.network", "build.timeout", "build.file", "build.args", "build.secrets")))
	if !slices.Equal(got, want) {
		t.Errorf("the schema knows\n%v\nthe types have\n%v", got, want)
	}
}

// The decoder is asked about each field of the schema, and about one that is not there.
func TestDecoderKnowsWhatTheSchemaKnows(t *testing.T) {
	var schema map[string]any
	if err := json.Unmarshal(Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	known := paths(schema, "")
	for _, path := range append(slices.Clone(known), "nothing", "triggers[].nothing", "entry.nothing") {
		text := "x"
		parts := strings.Split(path, ".")
		for _, part := range slices.Backward(parts) {
			if name, isList := strings.CutSuffix(part, "[]"); isList {
				text = fmt.Sprintf("{%s: [%s]}", name, text)
			} else {
				text = fmt.Sprintf("{%s: %s}", part, text)
			}
		}
		_, err := ParseManifest("f", []byte(text))
		refused := strings.Contains(fmt.Sprint(err), "unknown field")
		if refused == slices.Contains(known, path) {
			t.Errorf("%s: in the schema: %v, unknown to the decoder: %v", path, !refused, refused)
		}
	}
}

func TestSchemaIsStrictAndDescribed(t *testing.T) {
	var walk func(at string, s map[string]any)
	walk = func(at string, s map[string]any) {
		if items, ok := s["items"].(map[string]any); ok {
			walk(at+"[]", items)
		}
		properties, ok := s["properties"].(map[string]any)
		if !ok {
			return
		}
		if s["additionalProperties"] != false {
			t.Errorf("%q allows unknown fields", at)
		}
		for _, name := range slices.Sorted(maps.Keys(properties)) {
			p := properties[name].(map[string]any)
			if p["description"] == "" || p["type"] == nil {
				t.Errorf("%s has no description or no type", join(at, name))
			}
			walk(join(at, name), p)
		}
	}
	var schema map[string]any
	if err := json.Unmarshal(Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	walk("", schema)
}
