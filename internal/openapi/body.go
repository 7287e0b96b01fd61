package openapi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// checkBody holds a body against what may stand there.
func (d *Document) checkBody(b *body, h http.Header, text []byte) []Fault {
	fail := func(format string, args ...any) []Fault {
		return []Fault{{In: inBody, Message: fmt.Sprintf(format, args...)}}
	}
	given := h.Get("Content-Type")
	switch {
	case len(text) == 0 && (given == "" || !b.required):
		if b.required {
			return fail("is missing")
		}
		return nil
	case len(b.types) == 0:
		return nil
	case given == "":
		return fail("has no Content-Type; wanted is %s", b.names())
	case len(h["Content-Type"]) > 1:
		return fail("has more than one Content-Type")
	}
	t := b.typed(essence(given))
	switch {
	case t == nil:
		return fail("is of the type %s, not %s", quoted(essence(given)), b.names())
	case t.schema < 0:
		return nil
	case h.Get("Content-Encoding") != "":
		return fail("is encoded (%s) and cannot be checked: send it as it is", quoted(h.Get("Content-Encoding")))
	case len(text) == 0:
		return fail("is empty")
	}
	v, values, err := d.value(t, given, text)
	if errors.Is(err, errUnread) {
		return nil
	} else if err != nil {
		return fail("%v", err)
	}
	faults := d.check(v, values, t.schema)
	for i := range faults {
		faults[i].In = inBody
	}
	return faults
}

const (
	formType      = "application/x-www-form-urlencoded"
	multipartType = "multipart/form-data"
	textType      = "text/plain"
)

// errUnread is of bodies that no schema is about: a picture, of a document that takes */*.
var errUnread = errors.New("not read")

// readable says whether bodies of a media type are held against a schema.
func readable(t string) bool {
	return isJSON(t) || t == formType || t == multipartType || t == textType || strings.HasSuffix(t, "*")
}

func isJSON(t string) bool {
	return t == "application/json" || strings.HasPrefix(t, "application/") && strings.HasSuffix(t, "+json")
}

// value reads a body of a media type, and says of how many values it is made.
func (d *Document) value(t *mediaType, given string, text []byte) (any, int, error) {
	switch name := essence(given); {
	case isJSON(name):
		return readJSON(text)
	case name == formType:
		fields, err := url.ParseQuery(string(text))
		if err != nil {
			return nil, 0, fmt.Errorf("is no form: %w", err)
		}
		object := d.form(t, fields)
		return object, count(object), nil
	case name == multipartType:
		fields, err := parts(given, text)
		if err != nil {
			return nil, 0, fmt.Errorf("is no form in several parts: %w", err)
		}
		object := d.form(t, fields)
		return object, count(object), nil
	case name == textType:
		if !utf8.Valid(text) {
			return nil, 0, errors.New("is not UTF-8")
		}
		return string(text), 1, nil
	}
	return nil, 0, errUnread
}

// form makes an object of fields: of a list all that were given.
func (d *Document) form(t *mediaType, fields url.Values) map[string]any {
	at := t.at.with("schema")
	s := d.shapeOf(at)
	object := map[string]any{}
	for name, texts := range fields {
		of := shape{types: s.properties[name]}
		if of.has("array") {
			property := d.shapeOf(d.property(at, name))
			object[name] = property.list(texts)
			continue
		}
		object[name] = meaning(texts[0], of.types)
		if len(texts) > 1 {
			object[name] = of.list(texts)
		}
	}
	return object
}

// property is where a schema has a property of its own; the schema's own place where it has none.
func (d *Document) property(schema pointer, name string) pointer {
	_, at := d.resolve(schema)
	return at.with("properties").with(name)
}

// maxParts is how many parts a form may have.
const maxParts = 1000

// parts reads the fields of a form. What is in a file is text like any other.
func parts(given string, text []byte) (url.Values, error) {
	_, params, err := mime.ParseMediaType(given)
	if err != nil {
		return nil, err
	}
	reader := multipart.NewReader(bytes.NewReader(text), params["boundary"])
	fields := url.Values{}
	for n := 0; ; n++ {
		part, err := reader.NextRawPart()
		if err == io.EOF {
			return fields, nil
		} else if err != nil {
			return nil, err
		}
		if n == maxParts {
			return nil, fmt.Errorf("it has more than %d parts", maxParts)
		}
		b, err := io.ReadAll(part)
		if err != nil {
			return nil, err
		}
		fields.Add(part.FormName(), string(b))
	}
}
