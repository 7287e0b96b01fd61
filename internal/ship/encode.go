package ship

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// object is a line as JSON. Fields are those of the function's own JSON, as it wrote them.
type object struct {
	ID       string                     `json:"id"`
	Time     time.Time                  `json:"time"`
	Level    string                     `json:"level"`
	Function string                     `json:"function"`
	Version  int                        `json:"version"`
	Run      string                     `json:"run,omitempty"`
	Instance string                     `json:"instance"`
	Stream   string                     `json:"stream"`
	Message  string                     `json:"message"`
	Fields   map[string]json.RawMessage `json:"fields,omitempty"`
	Dropped  int                        `json:"dropped,omitempty"`
}

// toJSON writes one object a line.
func toJSON(lines []Line) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for i := range lines {
		l := &lines[i]
		o := object{
			ID: l.ID, Time: l.Time, Level: string(l.Said.Level), Function: l.Function, Version: l.Version, Run: l.Run, Instance: l.Instance, Stream: l.Stream,
			Message: l.Said.Message, Dropped: l.Dropped,
		}
		for _, f := range l.Said.Fields {
			if o.Fields == nil {
				o.Fields = map[string]json.RawMessage{}
			}
			o.Fields[f.Name] = f.Value
		}
		if err := enc.Encode(o); err != nil {
			return nil, fmt.Errorf("encode a log line: %w", err)
		}
	}
	return b.Bytes(), nil
}

// toText writes a line of plain text for each.
func toText(lines []Line) []byte {
	var b bytes.Buffer
	for i := range lines {
		l := &lines[i]
		fmt.Fprintf(&b, "%s %-5s %s v%d %s\n", l.Time.UTC().Format("2006-01-02T15:04:05.000Z07:00"), strings.ToUpper(string(l.Said.Level)), l.Function, l.Version, oneLine(l.Text))
	}
	return b.Bytes()
}

// oneLine leaves out what would end a line or move a terminal's cursor.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
}
