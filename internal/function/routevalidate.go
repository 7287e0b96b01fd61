package function

import (
	"io/fs"
	"maps"

	"go.yaml.in/yaml/v3"
)

// RouteValidate holds a route's requests, and some of its answers, against an OpenAPI document of the function's code.
type RouteValidate struct {
	File      string  `json:"file"` // of the code
	Requests  bool    `json:"requests"`
	Responses Percent `json:"responses,omitempty"` // of the answers
	Unknown   Unknown `json:"unknown,omitempty"`   // "" = UnknownRefuse
}

// Unknown is what becomes of a request of which the document says nothing.
type Unknown string

// Values of Unknown.
const (
	UnknownRefuse Unknown = "refuse"
	UnknownPass   Unknown = "pass"
)

func unknowns() []Unknown { return []Unknown{UnknownRefuse, UnknownPass} }

// AnswerInvalid is the data of event.TypeResponseInvalid: an answer of a route that is not as its document says.
type AnswerInvalid struct {
	Function  string   `json:"function"`
	Route     string   `json:"route"`
	Operation string   `json:"operation"` // of the document: GET /orders/{id}
	Status    int      `json:"status"`
	Problems  []string `json:"problems"`
	Untold    int      `json:"untold,omitempty"` // such answers before this one of which there is no event, because there were too many
}

func defaultRouteValidate() RouteValidate { return RouteValidate{Requests: true} }

// routeValidateValue is a file's name, or a mapping that says more.
func routeValidateValue() value[RouteValidate] {
	file := text[string]()
	whole := object([]string{"file"},
		field("file", "The OpenAPI document, 3.0 or 3.1, in YAML or JSON: a path inside of the function's code.", file, func(v *RouteValidate) *string { return &v.File }),
		field("requests", "Whether requests are held against it ahead of the function. Default: true.", truth(), func(v *RouteValidate) *bool { return &v.Requests }),
		field("responses", "The part of the answers that is held against it, behind the client's back. Default: 0%.", percent(), func(v *RouteValidate) *Percent { return &v.Responses }),
		field("unknown", "What becomes of requests whose path or method is not in the document: 400 (refuse), or the function's (pass). Default: refuse.", text(unknowns()...), func(v *RouteValidate) *Unknown { return &v.Unknown }),
	)
	schema := maps.Clone(whole.schema)
	schema["type"] = []string{"string", "object"}
	return value[RouteValidate]{schema, func(p *parser, n *yaml.Node, at string, into *RouteValidate) {
		if n.Kind == yaml.ScalarNode {
			file.read(p, n, at, &into.File)
			return
		}
		whole.read(p, n, at, into)
	}}
}

func (c *checker) routeValidate(at string, s *Spec, r *Route) {
	v := r.Validate
	if v == nil {
		return
	}
	if v.File == "." || !fs.ValidPath(v.File) {
		c.add(at+".file", "such as openapi.yaml", "%q is no file inside of the code", clip(v.File))
	}
	if v.Unknown != "" {
		oneOf(c, at+".unknown", v.Unknown, unknowns())
	}
	switch {
	case s.Image != "":
		c.add(at, "a function with code has files to read", "the function is an image, whose files dalamb does not read")
	case r.Redirect != nil || r.Static != nil:
		c.add(at, "remove it", "a route that asks no function has nothing to hold against a document")
	case !v.Requests && v.Responses == 0:
		c.add(at, "write requests: true, or responses: 5%", "holds nothing against the document")
	}
}
