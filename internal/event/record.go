package event

import (
	"strings"
)

// Header is a header of a log's record.
type Header struct {
	Name  string
	Value []byte
}

// HeaderSeal is the last header of a record whose value the log keeps sealed. It is Event.Seal.
const HeaderSeal = "dalamb-sealed"

// SealIn is the value of HeaderSeal; "" = it is not there. Only the last header is looked at, which is what others' records pay for it.
func SealIn(headers []Header) string {
	if n := len(headers); n > 0 && headers[n-1].Name == HeaderSeal {
		return string(headers[n-1].Value)
	}
	return ""
}

const (
	recordPrefix      = "ce_"
	recordContentType = "content-type"
	// recordTypes names the extensions that are not strings, because headers carry text only: "count:int,final:bool". It is
	// dalamb's own, and other readers of the log do not see it.
	recordTypes = "dalamb-types"
)

// ToRecord gives the event in the binary mode of the Kafka binding; key is Key() or nil. The event must be valid. value
// is Data itself.
func (e *Event) ToRecord() (key, value []byte, headers []Header) {
	if k := e.Key(); k != "" {
		key = []byte(k)
	}
	w := recordWriter{
		headers: make([]Header, 0, 8+len(e.Extensions)),
		buf:     make([]byte, 0, 128+len(e.ID)+len(e.Source)+len(e.Type)+len(e.Subject)+len(e.DataSchema)+32*len(e.Extensions)),
	}
	w.add("ce_specversion", SpecVersion)
	w.add("ce_id", e.ID)
	w.add("ce_source", e.Source)
	w.add("ce_type", e.Type)
	if e.Subject != "" {
		w.add("ce_subject", e.Subject)
	}
	if !e.Time.IsZero() {
		w.buf = appendTime(w.buf, e.Time)
		w.end("ce_time")
	}
	if e.DataSchema != "" {
		w.add("ce_dataschema", e.DataSchema)
	}
	if ct := e.contentType(); ct != "" {
		w.add(recordContentType, ct)
	}
	w.extensions(e)
	return key, e.Data, w.headers
}

// recordWriter puts the values of all headers into one piece of memory.
type recordWriter struct {
	headers []Header
	buf     []byte
	start   int
}

func (w *recordWriter) add(name, value string) {
	w.buf = append(w.buf, value...)
	w.end(name)
}

func (w *recordWriter) end(name string) {
	w.headers = append(w.headers, Header{Name: name, Value: w.buf[w.start:len(w.buf):len(w.buf)]})
	w.start = len(w.buf)
}

func (w *recordWriter) extensions(e *Event) {
	var types []byte
	for _, name := range e.extensionNames() {
		v := e.Extensions[name]
		w.buf = appendText(w.buf, v)
		w.end(extensionHeader(name))
		kind := ""
		switch v.(type) {
		case bool:
			kind = ":bool"
		case int32:
			kind = ":int"
		}
		if kind == "" || name == ExtHops {
			continue
		}
		if types != nil {
			types = append(types, ',')
		}
		types = append(append(types, name...), kind...)
	}
	if types != nil {
		w.buf = append(w.buf, types...)
		w.end(recordTypes)
	}
}

// extensionHeader spares the making of a name for the extensions that most events have.
func extensionHeader(name string) string {
	switch name {
	case ExtPartitionKey:
		return "ce_" + ExtPartitionKey
	case ExtTraceParent:
		return "ce_" + ExtTraceParent
	case ExtCorrelationID:
		return "ce_" + ExtCorrelationID
	case ExtCausationID:
		return "ce_" + ExtCausationID
	case ExtHops:
		return "ce_" + ExtHops
	case ExtOriginID:
		return "ce_" + ExtOriginID
	}
	return recordPrefix + name
}

// FromRecord reads an event from a record in binary or structured mode. It is ErrNotEvent when the record does not claim
// to be one; any other error is an *Error. The event shares value.
//
// A record key that is not the event's own becomes its partitionkey: the key is what the log ordered the record by, and what
// is in the log is stronger than what the subject would give.
func FromRecord(key, value []byte, headers []Header) (*Event, error) {
	size, binary := 0, false
	contentType := ""
	for i := range headers {
		h := &headers[i]
		switch {
		case strings.HasPrefix(h.Name, recordPrefix):
			size += len(h.Value)
			binary = true
		case len(h.Name) == len(recordContentType) && strings.EqualFold(h.Name, recordContentType):
			if string(h.Value) == jsonMediaType {
				contentType = jsonMediaType // the usual case, without a copy
			} else {
				contentType = string(h.Value)
			}
		}
	}
	_, structured, err := formatOf(contentType)
	if err != nil {
		return nil, err
	}
	var e *Event
	switch {
	case structured:
		e = new(Event)
		err = e.UnmarshalJSON(value)
	case binary:
		e, err = fromHeaders(headers, size)
	default:
		return nil, ErrNotEvent
	}
	if err != nil {
		return nil, err
	}
	if !structured {
		e.DataContentType, e.Data = contentType, value
		if err := e.validateContext(); err != nil { // the extensions have been checked one by one
			return nil, err
		}
	}
	if len(key) > 0 && e.Key() != string(key) && e.Extension(ExtPartitionKey) == "" {
		// A key that cannot be an attribute, such as a binary one, stays the record's alone.
		_ = e.SetExtension(ExtPartitionKey, string(key))
	}
	e.Seal = SealIn(headers)
	return e, nil
}

// fromHeaders reads the attributes. All their text is one string, size long, which every attribute is a part of.
func fromHeaders(headers []Header, size int) (*Event, error) {
	var text strings.Builder
	text.Grow(size)
	for i := range headers {
		if strings.HasPrefix(headers[i].Name, recordPrefix) {
			text.Write(headers[i].Value)
		}
	}
	rest := text.String()
	var d decoder
	var types []byte
	for i := range headers {
		h := &headers[i]
		name, ok := strings.CutPrefix(h.Name, recordPrefix)
		if !ok {
			if h.Name == recordTypes {
				types = h.Value
			}
			continue
		}
		value := rest[:len(h.Value)]
		rest = rest[len(h.Value):]
		if err := d.header(name, value); err != nil {
			return nil, err
		}
	}
	if err := checkSpecVersion(d.specVersion); err != nil {
		return nil, err
	}
	d.event.restoreTypes(string(types))
	return &d.event, nil
}

// restoreTypes undoes what headers did to the extensions that recordTypes names. Whatever does not fit stays a string.
func (e *Event) restoreTypes(types string) {
	for types != "" {
		var item string
		item, types, _ = strings.Cut(types, ",")
		name, kind, _ := strings.Cut(item, ":")
		s, ok := e.Extensions[name].(string)
		if !ok {
			continue
		}
		switch n, err := parseInt32(s); {
		case kind == "int" && err == nil:
			e.Extensions[name] = n
		case kind == "bool" && (s == "true" || s == "false"):
			e.Extensions[name] = s == "true"
		}
	}
}
