package openapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Route is one of those that are put together.
type Route struct {
	Function, Name string
	Method         string // "" = any
	Host           string // "" = any
	Path           string // as net/http.ServeMux writes it
	Auth           *Auth  // nil = open to everybody
	Limited        bool   // it may answer 429
	Doc            *Document
	File           string // of Doc, in the function's code
}

// Auth is how a route wants to know who calls: a security scheme. OpenAPI 3.1.0, section 4.8.27.
type Auth struct {
	Name   string // to begin with: jwt
	Scheme map[string]any
}

// Union is one document, of version 3.1, of many routes: of those that have a document what that says of them, of the others their method and path. title
// is whose they are.
func Union(title string, routes []Route) []byte {
	u := &union{paths: map[string]any{}, components: map[string]any{}, prefixes: map[[2]string]string{}, schemes: map[string]string{}, left: maxNodes}
	u.put("responses", "dalamb_Error", map[string]any{
		"description": "dalamb refuses the request, or could not have it answered",
		"content":     map[string]any{"application/json": map[string]any{"schema": map[string]any{"$ref": "#/components/schemas/dalamb_Error"}}},
	})
	u.put("schemas", "dalamb_Error", map[string]any{
		"type": "object", "required": []any{"error"}, "properties": map[string]any{"error": map[string]any{
			"type": "object", "required": []any{"kind", "message"},
			"properties": map[string]any{"kind": text(), "message": text(), "hint": text(), "problems": map[string]any{"type": "array", "items": map[string]any{
				"type": "object", "properties": map[string]any{"in": text(), "name": text(), "pointer": text(), "message": text()}}}},
		}},
	})
	for i := range routes {
		if r := &routes[i]; r.Doc != nil {
			u.documented(r)
		} else {
			u.bare(r)
		}
	}
	b, err := json.Marshal(map[string]any{
		"openapi": "3.1.0", "info": map[string]any{"title": title, "version": "1"}, "paths": u.paths, "components": u.components,
	})
	if err != nil { // it is made of what was JSON
		panic(fmt.Sprintf("encode a document: %v", err))
	}
	return b
}

func text() map[string]any { return map[string]any{"type": "string"} }

type union struct {
	paths      map[string]any
	components map[string]any
	prefixes   map[[2]string]string // by function and file: what stands before the names of its components
	schemes    map[string]string    // as JSON -> name
	left       int                  // values that may still be inlined, of all documents
}

func (u *union) put(kind, name string, v any) {
	of, _ := u.components[kind].(map[string]any)
	if of == nil {
		of = map[string]any{}
		u.components[kind] = of
	}
	of[name] = v
}

// documented adds what a document says of a route.
func (u *union) documented(r *Route) {
	prefix := u.take(r)
	for _, op := range r.Doc.operations {
		path := op.under(r)
		if path == "" {
			continue
		}
		item, _ := r.Doc.resolve(pointer{"paths", op.Path})
		both, _ := clone(item["parameters"]).([]any)
		operation := clone(r.Doc.lookup(op.at)).(map[string]any) // it was one when the document was read
		own, _ := operation["parameters"].([]any)
		if both = slices.DeleteFunc(both, func(p any) bool { return r.Doc.again(p, own) }); len(both)+len(own) > 0 {
			operation["parameters"] = append(both, own...)
		}
		delete(operation, "security")
		delete(operation, "servers")
		u.add(r, path, op.Method, (&naming{u, r.Doc, prefix}).renamed(operation, maxInlined, false))
	}
}

// again says whether a parameter of a path is among those of the operation.
func (d *Document) again(p any, own []any) bool {
	named := func(p any) [2]any {
		object, _ := p.(map[string]any)
		if ref, is := object["$ref"].(string); is {
			at, _ := parsePointer(ref)
			object, _ = d.resolve(at)
		}
		return [2]any{object["in"], object["name"]}
	}
	return slices.ContainsFunc(own, func(o any) bool { return named(o) == named(p) })
}

// take adds a document's components once, and says what stands before their names.
func (u *union) take(r *Route) string {
	file := [2]string{r.Function, r.File}
	if prefix, has := u.prefixes[file]; has {
		return prefix
	}
	prefix := r.Function + "_"
	if slices.Contains(slices.Collect(maps.Values(u.prefixes)), prefix) { // another route of it has another document
		prefix = r.Function + "_" + r.Name + "_"
	}
	u.prefixes[file] = prefix
	components, _ := clone(r.Doc.root["components"]).(map[string]any)
	delete(components, "securitySchemes")
	for kind, v := range (&naming{u, r.Doc, prefix}).renamed(map[string]any{"components": components}, maxInlined, false)["components"].(map[string]any) {
		names, _ := v.(map[string]any)
		for name, v := range names {
			u.put(kind, prefix+name, v)
		}
	}
	return prefix
}

// maxInlined is how deep references to other places than the components are followed, within each other.
const maxInlined = 4

// naming is how the names of a document's parts begin in a union.
type naming struct {
	*union
	d      *Document
	prefix string
}

// renamed gives a part of a document, which is changed, the names that it has in the union, and the newer dialect. What refers to another place than
// the components becomes what stands there.
func (u *naming) renamed(part map[string]any, depth int, schema bool) map[string]any {
	d, prefix := u.d, u.prefix
	w := &walker{func(n node) {
		if n.schema && d.legacy {
			modern(n.value)
		}
		if id, is := n.value["operationId"].(string); is {
			n.value["operationId"] = prefix + id
		}
		if ref, is := n.value["$ref"].(string); is {
			u.follow(n, ref, depth)
		}
		discriminator, _ := n.value["discriminator"].(map[string]any)
		mapping, _ := discriminator["mapping"].(map[string]any)
		for key, to := range mapping {
			to, _ := to.(string)
			if at, is := component(to); is {
				mapping[key] = at.named(prefix).fragment()
			} else if d.lookup(pointer{"components", "schemas", to}) != nil {
				mapping[key] = prefix + to
			}
		}
	}}
	if schema {
		w.schema(part, nil)
	} else {
		w.object(part, nil)
	}
	return part
}

// follow has a reference lead where it leads in the union.
func (u *naming) follow(n node, ref string, depth int) {
	if at, is := component(ref); is {
		n.value["$ref"] = at.named(u.prefix).fragment()
		return
	}
	delete(n.value, "$ref")
	at, is := parsePointer(ref)
	target, _ := u.d.lookup(at).(map[string]any)
	if !is || depth == 0 || target == nil || u.left == 0 {
		return
	}
	if u.left = max(0, u.left-count(target)); u.left > 0 { // else nothing more is: to count again and again would take as long
		maps.Copy(n.value, u.renamed(clone(target).(map[string]any), depth-1, n.schema))
	}
}

// component reads a reference to what is among a document's components, or in it.
func component(ref string) (pointer, bool) {
	at, is := parsePointer(ref)
	return at, is && strings.HasPrefix(ref, "#") && len(at) > 2 && at[0] == "components"
}

// named gives a component the name that it has in the union.
func (p pointer) named(prefix string) pointer {
	p = slices.Clone(p)
	p[2] = prefix + p[2]
	return p
}

// under is the operation's path, as clients write it, where a route takes that; "" = it does not.
func (op *Operation) under(r *Route) string {
	if r.Method != "" && r.Method != op.Method {
		return ""
	}
	for _, base := range r.Doc.bases {
		if path := base + op.Path; covers(r.Path, path) {
			return path
		}
	}
	return ""
}

// covers says whether a route's path takes all requests for a path of a document.
func covers(route, path string) bool {
	all := strings.HasSuffix(route, "/")
	wanted := strings.Split(strings.TrimSuffix(strings.TrimSuffix(route, "{$}"), "/"), "/")
	given := strings.Split(path, "/")
	if strings.HasSuffix(route, "{$}") {
		wanted = append(wanted, "")
	}
	for i, w := range wanted {
		if strings.HasSuffix(w, "...}") {
			return i < len(given)
		}
		if i >= len(given) || !strings.HasPrefix(w, "{") && w != given[i] {
			return false
		}
	}
	return len(given) == len(wanted) || all && len(given) > len(wanted)
}

// bare adds a route of which nothing else is known.
func (u *union) bare(r *Route) {
	path := strings.TrimSuffix(r.Path, "{$}")
	var parameters []any
	for _, m := range placeholder.FindAllStringSubmatch(path, -1) {
		name := strings.TrimSuffix(m[1], "...")
		p := map[string]any{"name": name, "in": "path", "required": true, "schema": text()}
		if name != m[1] {
			p["description"] = "the rest of the path, with its slashes"
		}
		parameters = append(parameters, p)
	}
	path = strings.ReplaceAll(path, "...}", "}")
	list := []string{r.Method}
	if r.Method == "" {
		list = []string{"GET", "POST", "PUT", "PATCH", "DELETE"}
	}
	for _, method := range list {
		if !slices.Contains(methods(), strings.ToLower(method)) {
			continue // OpenAPI has no word for it
		}
		operation := map[string]any{}
		if parameters != nil {
			operation["parameters"] = clone(parameters)
		}
		u.add(r, path, method, operation)
	}
}

// add adds an operation, with what the route's own policies say of it.
func (u *union) add(r *Route, path, method string, operation map[string]any) {
	operation["x-dalamb"] = map[string]any{"function": r.Function, "route": r.Name}
	if r.Host != "" {
		operation["servers"] = []any{map[string]any{"url": "//" + r.Host}}
	}
	answers, _ := operation["responses"].(map[string]any)
	if len(answers) == 0 {
		answers = map[string]any{"default": map[string]any{"description": "the function's answer"}}
		operation["responses"] = answers
	}
	refusals := map[int]bool{http.StatusBadRequest: r.Doc != nil, http.StatusUnauthorized: r.Auth != nil, http.StatusTooManyRequests: r.Limited}
	for status, may := range refusals {
		code := strconv.Itoa(status)
		if may && answers[code] == nil {
			answers[code] = map[string]any{"$ref": "#/components/responses/dalamb_Error"}
		}
	}
	if r.Auth != nil {
		operation["security"] = []any{map[string]any{u.scheme(r.Auth): []any{}}}
	}
	item, _ := u.paths[path].(map[string]any)
	if item == nil {
		item = map[string]any{}
		u.paths[path] = item
	}
	key := strings.ToLower(method)
	if item[key] == nil {
		item[key] = operation
		return
	}
	// OpenAPI has one operation for a method and a path; routes differ by hosts, and by what else a request carries.
	also, _ := item["x-dalamb-also"].([]any)
	operation["x-dalamb"].(map[string]any)["method"] = method
	item["x-dalamb-also"] = append(also, operation)
}

// scheme is the name of a security scheme, the same for all routes that want the same.
func (u *union) scheme(a *Auth) string {
	b, err := json.Marshal(a.Scheme)
	if err != nil { // it is text
		panic(fmt.Sprintf("encode a security scheme: %v", err))
	}
	if name, has := u.schemes[string(b)]; has {
		return name
	}
	name := a.Name
	for n := 2; find(u.components, pointer{"securitySchemes", name}) != nil; n++ {
		name = a.Name + strconv.Itoa(n)
	}
	u.schemes[string(b)] = name
	u.put("securitySchemes", name, a.Scheme)
	return name
}
