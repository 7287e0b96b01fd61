package openapi

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Where a fault, or a parameter, is.
const (
	inPath   = "path"
	inQuery  = "query"
	inHeader = "header"
	inCookie = "cookie"
	inBody   = "body"
)

// parameter is one of an operation. OpenAPI 3.1.0, section 4.8.12.
type parameter struct {
	in, name string
	required bool
	empty    bool // of a query: it may stand without a value
	style    string
	explode  bool
	isJSON   bool // its value is a text of JSON
	at       pointer
	schema   int // -1 = any
	shape    shape
}

func (op *Operation) parameter(in, name string) *parameter {
	i := slices.IndexFunc(op.parameters, func(p *parameter) bool { return p.in == in && p.name == name })
	if i < 0 {
		return nil
	}
	return op.parameters[i]
}

// styles are those that are read, the default first. OpenAPI 3.1.0, section 4.8.12.2.1.
func styles(in string) []string {
	switch in {
	case inQuery:
		return []string{"form", "spaceDelimited", "pipeDelimited", "deepObject"}
	case inCookie:
		return []string{"form"}
	}
	return []string{"simple"}
}

func (d *Document) readParameters(op *Operation, at pointer) error {
	list, _ := d.lookup(at).([]any)
	for i := range list {
		p, err := d.readParameter(at.with(strconv.Itoa(i)))
		if err != nil {
			return err
		}
		if p == nil {
			continue
		}
		op.parameters = slices.DeleteFunc(op.parameters, func(o *parameter) bool { return o.in == p.in && o.name == p.name }) // the operation's own counts
		op.parameters = append(op.parameters, p)
	}
	return nil
}

// readParameter gives nil for what the document leaves to HTTP.
func (d *Document) readParameter(at pointer) (*parameter, error) {
	object, at := d.resolve(at)
	if object == nil {
		return nil, d.wrong(at, "is no parameter")
	}
	p := &parameter{at: at, schema: -1}
	p.in, _ = object["in"].(string)
	p.name, _ = object["name"].(string)
	switch {
	case p.name == "":
		return nil, d.wrong(at, "has no name")
	case !slices.Contains([]string{inPath, inQuery, inHeader, inCookie}, p.in):
		return nil, d.wrong(at, "is in %s, not in path, query, header or cookie", shown(object["in"]))
	case p.in == inHeader && slices.Contains([]string{"Accept", "Content-Type", "Authorization"}, http.CanonicalHeaderKey(p.name)):
		return nil, nil
	}
	p.required, _ = object["required"].(bool)
	p.required = p.required || p.in == inPath
	p.empty, _ = object["allowEmptyValue"].(bool)
	p.style = styles(p.in)[0]
	if style, is := object["style"].(string); is {
		if p.style = style; !slices.Contains(styles(p.in), style) {
			return nil, d.wrong(at.with("style"), "the style %s is not supported for a parameter in %s", quoted(style), p.in).WithHint("supported: %s", strings.Join(styles(p.in), ", "))
		}
	}
	p.explode = p.style == "form"
	if explode, is := object["explode"].(bool); is {
		p.explode = explode
	}
	schema := at.with("schema")
	if content, is := object["content"].(map[string]any); is {
		for name := range content {
			if p.isJSON = isJSON(essence(name)); p.isJSON {
				schema = at.with("content").with(name).with("schema")
			}
		}
	}
	if d.lookup(schema) != nil {
		p.schema = d.need(schema, inbound)
		p.shape = d.shapeOf(schema)
	}
	return p, nil
}

// source is where the parameters of a request are.
type source struct {
	path   map[string]string
	query  url.Values
	header http.Header
	cookie map[string][]string
}

// raw gives a parameter's texts; false = it is not there.
func (s *source) raw(p *parameter) ([]string, bool) {
	switch p.in {
	case inPath:
		v, is := s.path[p.name]
		return []string{v}, is
	case inHeader:
		values := s.header[http.CanonicalHeaderKey(p.name)]
		return values, len(values) > 0
	case inCookie:
		values := s.cookie[p.name]
		return values, len(values) > 0
	}
	values := s.query[p.name]
	return values, len(values) > 0
}

// check holds one parameter against its schema.
func (d *Document) checkParameter(p *parameter, from *source) []Fault {
	texts, given := from.raw(p)
	fail := func(message string) []Fault { return []Fault{{In: p.in, Name: p.name, Message: message}} }
	spread := p.in == inQuery && !p.isJSON && p.shape.has("object") && (p.style == "deepObject" || p.explode && !given)
	var value any
	switch {
	case !given && !spread:
		if p.required {
			return fail("is missing")
		}
		return nil
	case p.schema < 0 || p.empty && given && len(texts) == 1 && texts[0] == "":
		return nil
	case p.isJSON && len(texts) > 1:
		return fail("is given more than once")
	case p.isJSON:
		v, _, err := readJSON([]byte(texts[0]))
		if err != nil {
			return fail(err.Error())
		}
		value = v
	case spread:
		object, twice := p.spread(from.query)
		if twice != "" {
			return fail("has " + quoted(twice) + " more than once")
		}
		if len(object) == 0 {
			if p.required {
				return fail("is missing")
			}
			return nil
		}
		value = object
	case p.shape.has("array"):
		value = p.shape.list(p.split(texts))
	case p.shape.has("object"):
		value = p.shape.object(p.pairs(texts))
	default:
		if len(texts) > 1 && p.in != inHeader {
			return fail("is given more than once")
		}
		return d.checkText(p, strings.Join(texts, ", "))
	}
	return d.checkValue(p, value)
}

// checkText tries what a text may mean: to a schema of several types it may be any of them.
func (d *Document) checkText(p *parameter, text string) (faults []Fault) {
	for _, v := range p.shape.meanings(text) {
		if faults = d.checkValue(p, v); faults == nil {
			return nil
		}
	}
	return faults
}

func (d *Document) checkValue(p *parameter, v any) []Fault {
	faults := d.check(v, count(v), p.schema)
	for i := range faults {
		faults[i].In, faults[i].Name = p.in, p.name
	}
	return faults
}

// split makes the items of a list of a parameter's texts.
func (p *parameter) split(texts []string) []string {
	separator := ","
	switch p.style {
	case "spaceDelimited":
		separator = " "
	case "pipeDelimited":
		separator = "|"
	}
	if p.explode && (p.in == inQuery || p.in == inCookie) {
		return texts
	}
	var items []string
	for _, text := range texts {
		for item := range strings.SplitSeq(text, separator) {
			if p.in == inHeader {
				item = strings.TrimSpace(item)
			}
			items = append(items, item)
		}
	}
	return items
}

// pairs makes the properties of an object: a,1,b,2, or a=1,b=2 where it is exploded.
func (p *parameter) pairs(texts []string) map[string]string {
	items := (&parameter{in: p.in, style: p.style}).split(texts)
	object := map[string]string{}
	if p.explode {
		for _, item := range items {
			name, v, _ := strings.Cut(item, "=")
			object[name] = v
		}
		return object
	}
	for i := 0; i < len(items); i += 2 {
		object[items[i]] = strings.Join(items[i+1:min(i+2, len(items))], "")
	}
	return object
}

// spread makes an object of a query: of name[property]=value, or of those of its properties that the query has. twice is one
// that is given more than once; "" = none.
func (p *parameter) spread(query url.Values) (object map[string]any, twice string) {
	texts := map[string]string{}
	for key, values := range query {
		name := key
		if p.style == "deepObject" {
			rest, is := strings.CutPrefix(key, p.name+"[")
			if !is || !strings.HasSuffix(rest, "]") {
				continue
			}
			name = strings.TrimSuffix(rest, "]")
		} else if _, known := p.shape.properties[key]; !known {
			continue
		}
		if len(values) > 1 && (twice == "" || name < twice) {
			twice = name
		}
		texts[name] = values[0]
	}
	return p.shape.object(texts), twice
}

// count is of how many values one is made.
func count(v any) int {
	n := 1
	switch v := v.(type) {
	case map[string]any:
		for _, item := range v {
			n += count(item)
		}
	case []any:
		for _, item := range v {
			n += count(item)
		}
	}
	return n
}

// shape is what is known of a value ahead of its check: of a text it has to be known what it is to mean.
type shape struct {
	types      []string
	items      []string            // types of a list's items
	properties map[string][]string // types of an object's properties
}

func (s *shape) has(t string) bool { return slices.Contains(s.types, t) }

func (d *Document) shapeOf(at pointer) shape {
	s := shape{properties: map[string][]string{}}
	d.collect(at, &s, maxChain)
	return s
}

// collect adds what a schema, and all that it is made of, says of types.
func (d *Document) collect(at pointer, s *shape, depth int) {
	schema, at := d.resolve(at)
	if schema == nil || depth == 0 {
		return
	}
	s.types = append(s.types, typesOf(schema)...)
	if schema["items"] != nil {
		s.items = append(s.items, d.types(at.with("items"), depth-1)...)
	}
	properties, _ := schema["properties"].(map[string]any)
	for name := range properties {
		s.properties[name] = append(s.properties[name], d.types(at.with("properties").with(name), depth-1)...)
	}
	for _, key := range []string{"allOf", "anyOf", "oneOf"} {
		list, _ := schema[key].([]any)
		for i := range list {
			d.collect(at.with(key).with(strconv.Itoa(i)), s, depth-1)
		}
	}
}

func (d *Document) types(at pointer, depth int) []string {
	s := shape{properties: map[string][]string{}}
	d.collect(at, &s, depth)
	return s.types
}

func typesOf(schema map[string]any) []string {
	var types []string
	switch t := schema["type"].(type) {
	case string:
		types = append(types, t)
	case []any:
		for _, v := range t {
			if name, is := v.(string); is {
				types = append(types, name)
			}
		}
	case nil:
		values, _ := schema["enum"].([]any)
		if c, has := schema["const"]; has {
			values = append(slices.Clip(values), c)
		}
		for _, v := range values {
			switch v.(type) {
			case string:
				types = append(types, "string")
			case json.Number:
				types = append(types, "number")
			case bool:
				types = append(types, "boolean")
			}
		}
	}
	if is, _ := schema["nullable"].(bool); is {
		types = append(types, "null")
	}
	return types
}

func (s *shape) list(texts []string) []any {
	items := make([]any, len(texts))
	for i, text := range texts {
		items[i] = meaning(text, s.items)
	}
	return items
}

func (s *shape) object(texts map[string]string) map[string]any {
	object := map[string]any{}
	for name, text := range texts {
		object[name] = meaning(text, s.properties[name])
	}
	return object
}

func (s *shape) meanings(text string) []any {
	first := meaning(text, s.types)
	if _, isText := first.(string); isText || !slices.Contains(s.types, "string") {
		return []any{first}
	}
	return []any{first, text}
}

// meaning is what a text is as one of these types; of none it is text.
func meaning(text string, types []string) any {
	has := func(t string) bool { return slices.Contains(types, t) }
	switch {
	case (has("integer") || has("number")) && usable(text):
		return json.Number(text)
	case has("boolean") && (text == "true" || text == "false"):
		return text == "true"
	case has("null") && (text == "" || text == "null"):
		return nil
	}
	return text
}
