package openapi

import (
	"fmt"
	"net/http"
	"net/url"
)

// CheckRequest holds a request against the operation. body is its body, where ReadsBody asks for it. nil = it is as the document wants it.
func (m *Match) CheckRequest(r *http.Request, body []byte) []Fault {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return []Fault{{In: inQuery, Message: "cannot be read: " + err.Error()}}
	}
	from := &source{path: m.values, query: query, header: r.Header, cookie: map[string][]string{}}
	for _, c := range r.Cookies() {
		from.cookie[c.Name] = append(from.cookie[c.Name], c.Value)
	}
	var faults []Fault
	for _, p := range m.parameters {
		faults = append(faults, m.doc.checkParameter(p, from)...)
	}
	if m.ReadsBody(r.Header) {
		faults = append(faults, m.doc.checkBody(m.body, r.Header, body)...)
	}
	return faults[:min(len(faults), maxFaults)]
}

// CheckAnswer holds an answer against the operation that it is to. body is all of it.
func (m *Match) CheckAnswer(status int, h http.Header, body []byte) []Fault {
	described := m.answer(status)
	switch {
	case status == http.StatusNotModified || status == http.StatusPartialContent:
		return nil // what a cache says of an answer of another status, and may say in the function's place
	case described == nil:
		return []Fault{{Message: fmt.Sprintf("status %d is not in the document", status)}}
	case len(described.types) == 0 || status == http.StatusNoContent:
		return nil
	}
	return m.doc.checkBody(described, h, body)
}
