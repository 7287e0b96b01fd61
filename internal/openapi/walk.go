package openapi

import (
	"maps"
	"slices"
	"strconv"
)

// node is an object in a document that may refer to another one. schema: it is a JSON Schema.
type node struct {
	value  map[string]any
	at     pointer
	schema bool
}

// Keys of an OpenAPI object below which names stand that its author has chosen.
func named(key string) bool {
	return slices.Contains([]string{"paths", "webhooks", "callbacks", "parameters", "responses", "requestBodies", "headers", "examples", "pathItems", "links", "securitySchemes", "content", "encoding", "variables"}, key)
}

// Keys below which values stand that mean nothing here.
func plain(key string) bool {
	return slices.Contains([]string{"example", "examples", "default", "enum", "const", "value"}, key) || len(key) > 1 && key[:2] == "x-"
}

// Keywords of a schema whose value is a schema, a list of them, or has one for each name.
func schemaKeywords() []string {
	return []string{"items", "additionalItems", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames", "unevaluatedItems", "unevaluatedProperties", "contentSchema"}
}
func schemaLists() []string { return []string{"allOf", "anyOf", "oneOf", "prefixItems", "items"} }
func schemaMaps() []string {
	return []string{"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"}
}

// walk calls see for each object of a document, what is within an object first.
func walk(root map[string]any, see func(node)) { (&walker{see}).object(root, nil) }

type walker struct{ see func(node) }

func (w *walker) value(v any, at pointer) {
	switch v := v.(type) {
	case map[string]any:
		w.object(v, at)
	case []any:
		for i, item := range v {
			w.value(item, at.with(strconv.Itoa(i)))
		}
	}
}

func (w *walker) object(o map[string]any, at pointer) {
	for _, key := range sortedKeys(o) {
		v, below := o[key], at.with(key)
		names, isMap := v.(map[string]any)
		switch {
		case plain(key) && (key != "examples" || !isMap):
		case key == "schema":
			w.schema(v, below)
		case key == "schemas" && isMap:
			for _, name := range sortedKeys(names) {
				w.schema(names[name], below.with(name))
			}
		case named(key) && isMap:
			for _, name := range sortedKeys(names) {
				w.value(names[name], below.with(name))
			}
		default:
			w.value(v, below)
		}
	}
	w.see(node{value: o, at: at})
}

func (w *walker) schema(v any, at pointer) {
	s, is := v.(map[string]any)
	if !is {
		return
	}
	for _, key := range schemaKeywords() {
		w.schema(s[key], at.with(key))
	}
	for _, key := range schemaLists() {
		list, _ := s[key].([]any)
		for i, item := range list {
			w.schema(item, at.with(key).with(strconv.Itoa(i)))
		}
	}
	for _, key := range schemaMaps() {
		names, _ := s[key].(map[string]any)
		for _, name := range sortedKeys(names) {
			w.schema(names[name], at.with(key).with(name))
		}
	}
	w.see(node{value: s, at: at, schema: true})
}

func sortedKeys[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }

// clone copies a tree.
func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		c := make(map[string]any, len(v))
		for key, item := range v {
			c[key] = clone(item)
		}
		return c
	case []any:
		c := make([]any, len(v))
		for i, item := range v {
			c[i] = clone(item)
		}
		return c
	}
	return v
}
