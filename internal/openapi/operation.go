package openapi

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
)

// Operation is one method of one path of a document.
type Operation struct {
	Method     string
	Path       string // as the document writes it: /orders/{id}
	at         pointer
	parameters []*parameter
	body       *body            // nil = none is described
	answers    map[string]*body // by status, 4XX or default
}

// body is what a request or an answer may be. Of types that are not read the schema is -1.
type body struct {
	required bool
	types    []mediaType // empty = any, or none
	at       pointer
}

type mediaType struct {
	name   string // in lower case, without parameters: application/json, text/*
	schema int
	at     pointer // of the media type object
}

// methods of a path item, as it writes them.
func methods() []string {
	return []string{"get", "put", "post", "delete", "options", "head", "patch", "trace"}
}

func (d *Document) readPaths() error {
	paths, is := d.root["paths"].(map[string]any)
	if !is && (d.legacy || d.root["paths"] != nil) {
		return d.wrong(pointer{"paths"}, "has no paths")
	}
	for _, path := range sortedKeys(paths) {
		at := pointer{"paths", path}
		if strings.HasPrefix(path, "x-") {
			continue
		}
		if !strings.HasPrefix(path, "/") {
			return d.wrong(at, "does not begin with a slash")
		}
		item, where := d.resolve(at)
		if item == nil {
			return d.wrong(at, "is no path item")
		}
		t, err := newTemplate(path)
		if err != nil {
			return d.wrong(at, "%v", err)
		}
		for _, method := range methods() {
			if item[method] == nil {
				continue
			}
			op, err := d.readOperation(strings.ToUpper(method), t, where)
			if err != nil {
				return err
			}
			d.operations = append(d.operations, op)
			t.operations[op.Method] = op
		}
		if err := d.paths.add(t); err != nil {
			return d.wrong(at, "%v", err)
		}
	}
	return nil
}

func (d *Document) readOperation(method string, t *template, item pointer) (*Operation, error) {
	op := &Operation{Method: method, Path: t.path, at: item.with(strings.ToLower(method)), answers: map[string]*body{}}
	object, is := d.lookup(op.at).(map[string]any)
	if !is {
		return nil, d.wrong(op.at, "is no operation")
	}
	for _, list := range []pointer{item.with("parameters"), op.at.with("parameters")} {
		if err := d.readParameters(op, list); err != nil {
			return nil, err
		}
	}
	for _, name := range t.names {
		if op.parameter(inPath, name) == nil {
			return nil, d.wrong(op.at, "does not describe {%s} of its path", name).WithHint("add a parameter with in: path and name: %s", name)
		}
	}
	if object["requestBody"] != nil {
		var err error
		if op.body, err = d.readBody(op.at.with("requestBody"), inbound); err != nil {
			return nil, err
		}
	}
	answers, _ := object["responses"].(map[string]any)
	for status := range answers {
		at := op.at.with("responses").with(status)
		if strings.HasPrefix(status, "x-") {
			continue
		}
		if !isStatus(status) {
			return nil, d.wrong(at, "%s is no status", quoted(status)).WithHint(`such as "200", 4XX or default`)
		}
		b, err := d.readBody(at, outbound)
		if err != nil {
			return nil, err
		}
		op.answers[strings.ToUpper(status)] = b
	}
	return op, nil
}

func isStatus(s string) bool {
	if s == "default" {
		return true
	}
	if len(s) != 3 || s[0] < '1' || s[0] > '5' {
		return false
	}
	_, err := strconv.Atoi(s)
	return err == nil || strings.EqualFold(s[1:], "XX")
}

// readBody reads a request body or an answer.
func (d *Document) readBody(at pointer, to direction) (*body, error) {
	object, at := d.resolve(at)
	if object == nil {
		return nil, d.wrong(at, "is no object")
	}
	b := &body{at: at}
	b.required, _ = object["required"].(bool)
	content, _ := object["content"].(map[string]any)
	for _, name := range sortedKeys(content) {
		m := mediaType{name: essence(name), schema: -1, at: at.with("content").with(name)}
		media, is := content[name].(map[string]any)
		if !is {
			return nil, d.wrong(m.at, "is no media type")
		}
		if !strings.Contains(m.name, "/") {
			return nil, d.wrong(m.at, "%s is no media type", quoted(name)).WithHint("such as application/json")
		}
		if media["schema"] != nil && readable(m.name) {
			m.schema = d.need(m.at.with("schema"), to)
		}
		b.types = append(b.types, m)
	}
	if to == outbound {
		b.required = len(b.types) > 0
	}
	return b, nil
}

// essence is a media type without its parameters.
func essence(t string) string {
	t, _, _ = strings.Cut(t, ";")
	return strings.ToLower(strings.TrimSpace(t))
}

// typed finds the media type of a body; the more specific one counts.
func (b *body) typed(name string) *mediaType {
	var found *mediaType
	for i := range b.types {
		t := &b.types[i]
		prefix, wild := strings.CutSuffix(t.name, "*")
		switch {
		case t.name == name:
			return t
		case wild && (t.name == "*/*" || strings.HasPrefix(name, prefix)) && (found == nil || len(t.name) > len(found.name)):
			found = t
		}
	}
	return found
}

func (b *body) names() string {
	var names []string
	for _, t := range b.types {
		names = append(names, t.name)
	}
	return strings.Join(names, " or ")
}

// answer is what the document says of a status; nil = nothing.
func (op *Operation) answer(status int) *body {
	code := strconv.Itoa(status)
	for _, key := range []string{code, code[:1] + "XX", "DEFAULT"} {
		if b := op.answers[key]; b != nil {
			return b
		}
	}
	return nil
}

// ReadsBody says whether the body of a request has to be there to be checked.
func (op *Operation) ReadsBody(h http.Header) bool {
	if op.body == nil {
		return false
	}
	if op.body.required && len(op.body.types) == 0 || len(op.body.types) > 0 && len(h["Content-Type"]) > 1 { // which nobody can say what they mean
		return true
	}
	t := op.body.typed(essence(h.Get("Content-Type")))
	return t == nil && len(op.body.types) > 0 || t != nil && t.schema >= 0
}

// errAmbiguous is of paths that fit the same requests.
var errAmbiguous = fault.New(fault.Invalid, "is the same as another path but for the names of its parameters")
