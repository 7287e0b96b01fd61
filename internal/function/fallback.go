package function

import (
	"mime"
	"net/http"
)

// Fallback is what a route answers in place of an error: of the node's own, or an answer of 500 and above. Either Function is set, or the rest.
type Fallback struct {
	Function string `json:"function,omitempty"` // that is asked instead
	Status   int    `json:"status,omitempty"`   // 0 = 200
	Body     string `json:"body,omitempty"`
	Type     string `json:"type,omitempty"` // of Body; "" = by its looks: JSON or text
}

// maxFallback bounds the body of a Fallback, which stands in the manifest.
const maxFallback = 64 << 10

func fallbackValue() value[Fallback] {
	return object(nil,
		field("function", "The function that gets the request instead; without its own route's policies.", text[string](), func(f *Fallback) *string { return &f.Function }),
		field("status", "Of an answer that stands here. Default: 200.", whole(), func(f *Fallback) *int { return &f.Status }),
		field("body", "Its body, at most 64Ki.", text[string](), func(f *Fallback) *string { return &f.Body }),
		field("type", "Its Content-Type. Default: application/json where the body is that, else text/plain.", text[string](), func(f *Fallback) *string { return &f.Type }),
	)
}

func (c *checker) fallback(at, function string, f *Fallback) {
	if f == nil {
		return
	}
	static := f.Status != 0 || f.Body != "" || f.Type != ""
	switch {
	case static == (f.Function != ""):
		c.add(at, "write {function: NAME} or {status: 200, body: TEXT}", "names not exactly one of a function and an answer")
	case f.Function == function:
		c.add(at+".function", "choose another", "the function would be asked again that has just failed; that is what retry does")
	case f.Function != "":
		c.name(at+".function", f.Function, "function")
	default:
		c.standing(at, f)
	}
}

// standing checks an answer that stands in the manifest.
func (c *checker) standing(at string, f *Fallback) {
	if f.Status != 0 {
		between(c.at(at+".status"), f.Status, http.StatusOK, 599)
	}
	if len(f.Body) > maxFallback {
		c.add(at+".body", "let another function answer: {function: NAME}", "has %d bytes; it may have %d", len(f.Body), maxFallback)
	}
	if (f.Status == http.StatusNoContent || f.Status == http.StatusNotModified) && f.Body != "" {
		c.add(at+".body", "remove it", "an answer of status %d has no body", f.Status)
	}
	if f.Type != "" {
		if _, _, err := mime.ParseMediaType(f.Type); err != nil {
			c.add(at+".type", "such as application/json", "%q is no media type", clip(f.Type))
		}
	}
}

// place is the Fallback as another environment has it.
func (f *Fallback) place(name func(string) string) *Fallback {
	if f == nil || f.Function == "" {
		return f
	}
	return &Fallback{Function: name(f.Function)}
}
