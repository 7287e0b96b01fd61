package event

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"
)

// BatchError says which event of a batch is wrong. Nothing of such a batch is used.
type BatchError struct {
	Index int // counts from 0
	Err   error
}

func (e *BatchError) Error() string { return fmt.Sprintf("event %d of the batch: %v", e.Index, e.Err) }

func (e *BatchError) Unwrap() error { return e.Err }

// MarshalJSON gives the JSON event format. Data that is declared JSON and is one valid value stands in data, byte for
// byte; any other in data_base64. The error is an *Error: the event is not valid.
func (e *Event) MarshalJSON() ([]byte, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	return e.AppendJSON(make([]byte, 0, 384+len(e.Data))), nil
}

// AppendJSON adds the JSON event format to b, as MarshalJSON gives it. The event must be valid.
func (e *Event) AppendJSON(b []byte) []byte {
	b = append(b, `{"specversion":"`+SpecVersion+`"`...)
	b = appendMember(b, "id", e.ID)
	b = appendMember(b, "source", e.Source)
	b = appendMember(b, "type", e.Type)
	if e.Subject != "" {
		b = appendMember(b, "subject", e.Subject)
	}
	if !e.Time.IsZero() {
		b = append(b, `,"time":"`...)
		b = append(appendTime(b, e.Time), '"')
	}
	if e.DataContentType != "" {
		b = appendMember(b, "datacontenttype", e.DataContentType)
	}
	if e.DataSchema != "" {
		b = appendMember(b, "dataschema", e.DataSchema)
	}
	for _, name := range e.extensionNames() {
		if s, ok := e.Extensions[name].(string); ok {
			b = appendMember(b, name, s)
			continue
		}
		b = append(append(append(b, `,"`...), name...), `":`...)
		b = appendText(b, e.Extensions[name])
	}
	switch {
	case e.Data == nil:
	case len(e.Data) == 0 && e.Extension(ExtSealed) != "": // it had data that nobody can read, and that is not the empty one
	case e.IsJSON() && validJSON(e.Data):
		b = append(append(b, `,"data":`...), e.Data...)
	default:
		b = append(b, `,"data_base64":"`...)
		b = append(base64.StdEncoding.AppendEncode(b, e.Data), '"')
	}
	return append(b, '}')
}

func appendMember(b []byte, name, value string) []byte {
	b = append(append(append(b, `,"`...), name...), `":`...)
	return appendQuoted(b, value)
}

// EncodeBatch gives the JSON batch format. The error is a *BatchError.
func EncodeBatch(events []*Event) ([]byte, error) {
	b := []byte{'['}
	for i, e := range events {
		if err := e.Validate(); err != nil {
			return nil, &BatchError{Index: i, Err: err}
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = e.AppendJSON(b)
	}
	return append(b, ']'), nil
}

// DecodeBatch reads the JSON batch format. A batch may be empty. The error is a *BatchError for the first event that is
// wrong, or an *Error when it is not a batch at all. The events share no memory with b.
func DecodeBatch(b []byte) ([]*Event, error) {
	b, err := document(b, '[')
	if err != nil {
		return nil, err
	}
	events := []*Event{}
	for i, raw := range elements(b) {
		e := new(Event)
		if err := e.decode(raw); err != nil {
			return nil, &BatchError{Index: i, Err: err}
		}
		events = append(events, e)
	}
	return events, nil
}

// UnmarshalJSON reads the JSON event format, strictly: a member given twice, an attribute of the wrong type or a name that
// CloudEvents does not allow is an *Error, and the event is left as it was. The event shares no memory with b.
func (e *Event) UnmarshalJSON(b []byte) error {
	b, err := document(b, '{')
	if err != nil {
		return err
	}
	return e.decode(b)
}

// document checks that b is one JSON value in UTF-8 that begins with open, and strips the space around it.
func document(b []byte, open byte) ([]byte, error) {
	b = bytes.TrimSpace(b)
	if !utf8.Valid(b) {
		return nil, wrong("", "the text is not valid UTF-8")
	}
	if !json.Valid(b) {
		var v json.RawMessage
		return nil, wrong("", "the text is not valid JSON: %v", json.Unmarshal(b, &v))
	}
	if b[0] != open {
		what := map[byte]string{'{': "an event is a JSON object", '[': "a batch is a JSON array of events"}[open]
		return nil, wrong("", "%s, this is %s", what, kindOf(b))
	}
	return b, nil
}

// decode reads one event from valid JSON.
func (e *Event) decode(b []byte) error {
	if b[0] != '{' {
		return wrong("", "an event is a JSON object, this is %s", kindOf(b))
	}
	var d decoder
	seen := make(map[string]struct{}, 12)
	for rawName, raw := range members(b) {
		name, err := unquote(rawName)
		if err != nil {
			return wrong("", "a member's name %v", err)
		}
		if _, again := seen[name]; again {
			return twice(name)
		}
		seen[name] = struct{}{}
		if err := d.member(name, raw); err != nil {
			return err
		}
	}
	if err := d.finish(); err != nil {
		return err
	}
	*e = d.event
	return nil
}

// decoder gathers the members of one event; data waits until its media type is known.
type decoder struct {
	event       Event
	specVersion string
	data        []byte // as it stands in the text
	dataBase64  []byte
}

func (d *decoder) member(name string, raw []byte) error {
	if name == "data" {
		d.data = raw
		return nil
	}
	if string(raw) == "null" {
		return nil // unset; JSON format, section 2.2
	}
	switch name {
	case "data_base64":
		d.dataBase64 = raw
		return nil
	case "time":
		s, err := stringMember(name, raw)
		if err != nil {
			return err
		}
		d.event.Time, err = timeAttribute(s)
		return err
	}
	if field := d.field(name); field != nil {
		s, err := stringMember(name, raw)
		if err != nil {
			return err
		}
		if s == "" {
			return wrong(name, "may not be empty")
		}
		*field = s
		return nil
	}
	return d.extension(name, raw)
}

// field is where an attribute that is a plain string goes; nil for any other name.
func (d *decoder) field(name string) *string {
	if name == "specversion" {
		return &d.specVersion
	}
	return d.event.field(name)
}

func (e *Event) field(name string) *string {
	switch name {
	case "id":
		return &e.ID
	case "source":
		return &e.Source
	case "type":
		return &e.Type
	case "subject":
		return &e.Subject
	case "datacontenttype":
		return &e.DataContentType
	case "dataschema":
		return &e.DataSchema
	}
	return nil
}

func (d *decoder) extension(name string, raw []byte) error {
	if reason := badName(name); reason != "" {
		return wrong(name, "%s", reason)
	}
	var v any
	switch raw[0] {
	case 't', 'f':
		v = raw[0] == 't'
	case '"':
		s, err := stringMember(name, raw)
		if err != nil {
			return err
		}
		if v, err = typed(name, s); err != nil {
			return err
		}
	case '{', '[':
		return wrong(name, "is %s; an attribute is a string, a whole number or a boolean", kindOf(raw))
	default:
		n, err := strconv.ParseInt(string(raw), 10, 32)
		if err != nil {
			return wrong(name, "%s is not a whole number between -2147483648 and 2147483647", clip(string(raw)))
		}
		v = int32(n)
	}
	if d.event.Extensions == nil {
		d.event.Extensions = make(map[string]any)
	}
	d.event.Extensions[name] = v
	return nil
}

func (d *decoder) finish() error {
	if err := checkSpecVersion(d.specVersion); err != nil {
		return err
	}
	if err := d.event.Validate(); err != nil {
		return err
	}
	switch {
	case d.dataBase64 != nil && d.data != nil && string(d.data) != "null":
		return wrong("data", "both data and data_base64 are given")
	case d.dataBase64 != nil:
		return d.decodeBase64()
	case d.data != nil:
		return d.decodeData()
	}
	return nil
}

func (d *decoder) decodeBase64() error {
	s, err := stringMember("data_base64", d.dataBase64)
	if err != nil {
		return err
	}
	data, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return wrong("data_base64", "is not base64: %v", err)
	}
	d.event.Data = data
	return nil
}

func (d *decoder) decodeData() error {
	if declaresJSON(d.event.DataContentType) {
		d.event.Data = bytes.Clone(d.data)
		return nil
	}
	if string(d.data) == "null" {
		return nil
	}
	if d.data[0] != '"' {
		return wrong("data", "is %s, but datacontenttype %q is not JSON; give a string or data_base64", kindOf(d.data), clip(d.event.DataContentType))
	}
	s, err := stringMember("data", d.data)
	d.event.Data = []byte(s)
	return err
}

func checkSpecVersion(v string) error {
	switch v {
	case SpecVersion:
		return nil
	case "":
		return wrong("specversion", "is required")
	}
	return wrong("specversion", "%q is not supported; send %s", clip(v), SpecVersion)
}

func timeAttribute(s string) (time.Time, error) {
	t, err := parseTime(s)
	if err != nil {
		return t, wrong("time", "%v", err)
	}
	return t, nil
}

func stringMember(name string, raw []byte) (string, error) {
	if raw[0] != '"' {
		return "", wrong(name, "is %s, not a string", kindOf(raw))
	}
	s, err := unquote(raw)
	if err != nil {
		return "", wrong(name, "%v", err)
	}
	return s, nil
}

func validJSON(b []byte) bool { return utf8.Valid(b) && json.Valid(b) }
