package match

import (
	"encoding/base64"
	"time"
	"unicode/utf8"

	"github.com/dalamb/dalamb/internal/event"
)

// The names of the structured form. CloudEvents JSON format, sections 2 and 3.
const (
	nameData       = "data"
	nameDataBase64 = "data_base64"
)

// attributes holds where the parts of an event belong, so that none is looked up by name for each event.
type attributes struct {
	specVersion, id, source, typ, subject, time, contentType, schema *trieNode
	data, dataBase64                                                 *trieNode
	extensions                                                       []extension
}

type extension struct {
	name string
	node *trieNode
}

func newAttributes(root *trieNode) attributes {
	var a attributes
	for i, name := range root.names {
		n := root.kids[i]
		switch name {
		case "specversion":
			a.specVersion = n
		case "id":
			a.id = n
		case "source":
			a.source = n
		case "type":
			a.typ = n
		case "subject":
			a.subject = n
		case "time":
			a.time = n
		case "datacontenttype":
			a.contentType = n
		case "dataschema":
			a.schema = n
		case nameData:
			a.data = n
		case nameDataBase64:
			a.dataBase64 = n
		default:
			a.extensions = append(a.extensions, extension{name: name, node: n})
		}
	}
	return a
}

// readEvent collects the leaves of the structured form of e that rules ask for, without making that form.
func (x *scratch) readEvent(m *matcher, e *event.Event) {
	a := &m.attributes
	x.addString(a.specVersion, event.SpecVersion)
	x.addString(a.id, e.ID)
	x.addString(a.source, e.Source)
	x.addString(a.typ, e.Type)
	x.addString(a.subject, e.Subject)
	x.addString(a.contentType, e.DataContentType)
	x.addString(a.schema, e.DataSchema)
	if a.time != nil && a.time.path != none && !e.Time.IsZero() {
		start := len(x.buf)
		x.buf = e.Time.UTC().AppendFormat(x.buf, time.RFC3339Nano)
		x.addText(a.time, start)
	}
	for i := range a.extensions {
		x.addExtension(a.extensions[i].node, e.Extensions[a.extensions[i].name])
	}
	x.readData(a, e)
}

func (x *scratch) addExtension(n *trieNode, v any) {
	switch v := v.(type) {
	case string:
		x.addString(n, v)
	case int32:
		if n.path != none {
			x.add(leaf{path: n.path, kind: kindNumber, num: float64(v)})
		}
	case bool:
		if n.path != none {
			x.add(leaf{path: n.path, kind: boolKind(v)})
		}
	}
}

func boolKind(v bool) kind {
	if v {
		return kindTrue
	}
	return kindFalse
}

// readData reads JSON data at data. Other data, and what only says that it is JSON, is a string at data_base64.
func (x *scratch) readData(a *attributes, e *event.Event) {
	if e.Data == nil || a.data == nil && a.dataBase64 == nil {
		return
	}
	if e.IsJSON() && utf8.Valid(e.Data) {
		before := len(x.leaves)
		if x.readDocument(e.Data, a.data) {
			return
		}
		x.rewind(before)
	}
	if a.dataBase64 != nil && a.dataBase64.path != none {
		start := len(x.buf)
		x.buf = base64.StdEncoding.AppendEncode(x.buf, e.Data)
		x.addText(a.dataBase64, start)
	}
}

// addString adds an attribute that is a string; "" is an absent one.
func (x *scratch) addString(n *trieNode, s string) {
	if n == nil || n.path == none || s == "" {
		return
	}
	start := len(x.buf)
	x.buf = append(x.buf, s...)
	x.addText(n, start)
}

// addText adds what stands in buf from start on.
func (x *scratch) addText(n *trieNode, start int) {
	x.add(leaf{path: n.path, kind: kindString, text: x.buf[start:len(x.buf):len(x.buf)]})
}
