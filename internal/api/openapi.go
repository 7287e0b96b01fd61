package api

import (
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/dalamb/dalamb/internal/wire"
)

// OpenAPI is the document that describes the API, generated from the table of routes: OpenAPI 3.1.0.
func OpenAPI(version string) map[string]any {
	var a *API // the table's functions are not called
	s := &schemas{byName: map[string]any{}, types: map[string]reflect.Type{}}
	paths := map[string]map[string]any{}
	for _, r := range a.routes() {
		if paths[r.Path] == nil {
			paths[r.Path] = map[string]any{}
		}
		paths[r.Path][strings.ToLower(r.Method)] = s.operation(r)
	}
	all := map[string]any{}
	for p, ops := range paths {
		all[p] = ops
	}
	return map[string]any{
		"openapi": "3.1.0",
		"info": map[string]any{
			"title": "dalamb control API", "version": version,
			"description": "Everything that the command line does. Errors have the shape of ErrorBody.",
			"license":     map[string]any{"name": "Apache-2.0", "identifier": "Apache-2.0"},
		},
		"paths":    all,
		"security": []any{map[string]any{"token": []any{}}},
		"components": map[string]any{
			"schemas":         s.byName,
			"securitySchemes": map[string]any{"token": map[string]any{"type": "http", "scheme": "bearer", "description": "the content of the file token in the node's data directory"}},
		},
	}
}

func (a *API) getOpenAPI(w http.ResponseWriter, r *http.Request, _ query) error {
	writeJSON(w, http.StatusOK, OpenAPI(a.node(r.Context()).Version))
	return nil
}

var pathParam = regexp.MustCompile(`\{([a-z]+)\}`)

func (s *schemas) operation(r route) map[string]any {
	params := []any{}
	for _, m := range pathParam.FindAllStringSubmatch(r.Path, -1) {
		params = append(params, map[string]any{"name": m[1], "in": "path", "required": true, "schema": map[string]any{"type": "string"}})
	}
	for _, p := range r.Query {
		schema := map[string]any{"type": p.Type}
		if p.Enum != nil {
			schema["enum"] = p.Enum
		}
		params = append(params, map[string]any{"name": p.Name, "in": "query", "description": p.About, "schema": schema})
	}
	op := map[string]any{"operationId": r.Name, "summary": r.Summary, "responses": s.responses(r)}
	if len(params) > 0 {
		op["parameters"] = params
	}
	switch {
	case r.Body != nil:
		op["requestBody"] = map[string]any{"required": true, "content": s.content("application/json", r.Body)}
	case r.BodyType != "":
		op["requestBody"] = map[string]any{"content": s.content(r.BodyType, nil)}
	}
	return op
}

func (s *schemas) responses(r route) map[string]any {
	ok := map[string]any{"description": http.StatusText(r.status())}
	switch {
	case r.Answer != nil && r.AnswerType != "":
		ok["content"] = s.content(r.AnswerType, r.Answer)
	case r.Answer != nil:
		ok["content"] = s.content("application/json", r.Answer)
	case r.AnswerType != "":
		ok["content"] = s.content(r.AnswerType, nil)
	}
	out := map[string]any{strconv.Itoa(r.status()): ok}
	codes := append([]int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusServiceUnavailable}, r.Also...)
	if strings.Contains(r.Path, "{") || r.Body != nil || len(r.Query) > 0 {
		codes = append(codes, http.StatusNotFound)
	}
	slices.Sort(codes)
	for _, c := range slices.Compact(codes) {
		answer := map[string]any{"description": http.StatusText(c)}
		if c >= http.StatusBadRequest && !awsPath.MatchString(r.Path) {
			answer["content"] = s.content("application/json", wire.ErrorBody{})
		}
		out[strconv.Itoa(c)] = answer
	}
	return out
}

func (s *schemas) content(mediaType string, v any) map[string]any {
	schema := map[string]any{}
	if v != nil {
		schema = s.of(reflect.TypeOf(v))
	}
	return map[string]any{mediaType: map[string]any{"schema": schema}}
}
