package event

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// MaxForeign is the largest record that the event of a Foreign carries whole: with it in base64 a function can still be called.
const MaxForeign = 4 << 20

// maxForeignKey is the longest key of a larger record that is still told.
const maxForeignKey = 64 << 10

// Foreign is a record that is no CloudEvent: some other software wrote it.
type Foreign struct {
	Topic     string
	Partition int32
	Offset    int64
	Time      time.Time
	Key       []byte
	Value     []byte // nil = none: a tombstone
	Headers   []Header
	Fault     string // what is wrong with a record that claims to be a CloudEvent; "" = it makes no such claim
}

// foreignData is the data of the event of a Foreign: docs/kafka.md.
type foreignData struct {
	Topic     string              `json:"topic"`
	Partition int32               `json:"partition"`
	Offset    int64               `json:"offset"`
	Key       *string             `json:"key,omitempty"`
	Key64     *string             `json:"key64,omitempty"`
	Headers   map[string][]string `json:"headers,omitempty"`
	Headers64 map[string][]string `json:"headers64,omitempty"`
	Value     json.RawMessage     `json:"value,omitempty"`
	Value64   *string             `json:"value64,omitempty"`
	Size      int                 `json:"size,omitempty"`
	Fault     string              `json:"fault,omitempty"`
}

// Event describes the record as an event of TypeRecord. It is the same each time: its id comes from where the record stands, when it
// was written and how it begins, so that a topic made again under the same name gives other ids. Text is text, JSON is JSON, and all
// else is base64. Of a record over MaxForeign it tells the size, and the key if that is not what makes it large.
func (f *Foreign) Event() *Event {
	d := foreignData{Topic: f.Topic, Partition: f.Partition, Offset: f.Offset, Fault: f.Fault}
	size := len(f.Key) + len(f.Value)
	for i := range f.Headers {
		size += len(f.Headers[i].Name) + len(f.Headers[i].Value)
	}
	if size > MaxForeign {
		d.Size = size
	} else {
		d.setValue(f.Value)
		d.setHeaders(f.Headers)
	}
	if size <= MaxForeign || len(f.Key) <= maxForeignKey {
		d.setKey(f.Key)
	}
	e := &Event{
		ID: f.id(), Source: "/topics/" + f.Topic, Type: TypeRecord, Time: f.Time.UTC(), DataContentType: jsonMediaType, Data: d.encode(),
	}
	if len(f.Key) > 0 {
		e.Extensions = map[string]any{ExtPartitionKey: f.orderKey()}
	}
	return e
}

// ForeignOf is the record that an event of TypeRecord describes: its bytes, but for white space outside of the strings of JSON, and
// headers in the order of their names. ok is false where the event is another one, or does not hold the record whole.
func ForeignOf(e *Event) (f *Foreign, ok bool) {
	var d foreignData
	if e.Type != TypeRecord || json.Unmarshal(e.Data, &d) != nil || d.Size > 0 {
		return nil, false
	}
	f = &Foreign{Topic: d.Topic, Partition: d.Partition, Offset: d.Offset, Time: e.Time, Value: d.Value, Fault: d.Fault}
	ok = true
	read := func(text, coded *string) []byte {
		if text != nil {
			return []byte(*text)
		}
		b, err := base64.StdEncoding.DecodeString(*coded)
		ok = ok && err == nil // it was edited
		return b
	}
	if d.Key != nil || d.Key64 != nil {
		f.Key = read(d.Key, d.Key64)
	}
	if d.Value64 != nil {
		f.Value = read(nil, d.Value64)
	}
	for _, name := range slices.Sorted(maps.Keys(d.Headers)) {
		for _, text := range d.Headers[name] {
			f.Headers = append(f.Headers, Header{name, read(&text, nil)})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.Headers64)) {
		for _, coded := range d.Headers64[name] {
			f.Headers = append(f.Headers, Header{name, read(nil, &coded)})
		}
	}
	return f, ok
}

// orderKey is the key as an attribute: what keeps records of one key in order needs to be the same for the same key, no more.
func (f *Foreign) orderKey() string {
	switch {
	case len(f.Key) > maxForeignKey:
		return HashID(f.Key)
	case badString(string(f.Key)) != "":
		return base64.StdEncoding.EncodeToString(f.Key)
	}
	return string(f.Key)
}

// idBytes is how much of a value its event's id looks at.
const idBytes = 64 << 10

func (f *Foreign) id() string {
	b := append([]byte("record\x00"), f.Topic...)
	b = append(b, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(f.Partition))
	b = binary.BigEndian.AppendUint64(b, uint64(f.Offset))
	b = binary.BigEndian.AppendUint64(b, uint64(f.Time.UnixMilli()))
	b = binary.BigEndian.AppendUint64(b, uint64(len(f.Key)))
	b = append(b, f.Key[:min(len(f.Key), idBytes)]...)
	b = binary.BigEndian.AppendUint64(b, uint64(len(f.Value)))
	return HashID(append(b, f.Value[:min(len(f.Value), idBytes)]...))
}

func (d *foreignData) setKey(key []byte) {
	if key == nil {
		return
	}
	d.Key, d.Key64 = textOr64(key)
}

func (d *foreignData) setValue(value []byte) {
	switch {
	case value == nil:
	case utf8.Valid(value) && json.Valid(value):
		d.Value = value
	default:
		s := base64.StdEncoding.EncodeToString(value)
		d.Value64 = &s
	}
}

// setHeaders keeps the order of headers of one name. A name that is no UTF-8 is mended, because JSON has no other way to write it.
func (d *foreignData) setHeaders(headers []Header) {
	for i := range headers {
		name := strings.ToValidUTF8(headers[i].Name, "\uFFFD")
		into := &d.Headers
		text, coded := textOr64(headers[i].Value)
		if coded != nil {
			into, text = &d.Headers64, coded
		}
		if *into == nil {
			*into = map[string][]string{}
		}
		(*into)[name] = append((*into)[name], *text)
	}
}

func textOr64(b []byte) (text, coded *string) {
	s := string(b)
	if utf8.Valid(b) {
		return &s, nil
	}
	s = base64.StdEncoding.EncodeToString(b)
	return nil, &s
}

func (d *foreignData) encode() []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(d); err != nil {
		panic("encode a foreign record: " + err.Error()) // every field can be encoded: the value was checked
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
