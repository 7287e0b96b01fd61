package event

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
)

// Content is what an event says, without what is another each time that it is said: id, originid, time, the place in a chain of
// causes, and the name of a replay. JSON data is a value, whatever the order of its members.
func (e *Event) Content() map[string]any {
	c := maps.Clone(e.Extensions)
	if c == nil {
		c = map[string]any{}
	}
	for _, name := range []string{ExtOriginID, ExtCausationID, ExtCorrelationID, ExtHops, ExtTraceParent, ExtReplay, ExtShadow} {
		delete(c, name)
	}
	c["type"], c["source"] = e.Type, e.Source
	for name, v := range map[string]string{"subject": e.Subject, "dataschema": e.DataSchema} {
		if v != "" {
			c[name] = v
		}
	}
	if e.DataContentType != "" && e.DataContentType != jsonMediaType {
		c["datacontenttype"] = e.DataContentType
	}
	switch v, ok := Value(e.Data); {
	case e.Data == nil:
	case e.IsJSON() && ok:
		c["data"] = v
	default:
		c["data_base64"] = e.Data
	}
	return c
}

// Value is the JSON value of a text, its numbers digit for digit; ok is false for what is not one JSON value.
func Value(text []byte) (v any, ok bool) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if d.Decode(&v) != nil || d.More() {
		return nil, false
	}
	return v, true
}

// Digest is the same for two events whose Content is the same.
func (e *Event) Digest() string {
	b, err := json.Marshal(e.Content())
	if err != nil {
		return "" // an extension of a type that no event has
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:12])
}
