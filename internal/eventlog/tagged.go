package eventlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// EncodeTagged makes a value of JSON behind a first byte that names its format.
func EncodeTagged(format byte, v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return append([]byte{format}, b...), nil
}

// DecodeTagged reads what EncodeTagged wrote. Another format, a field that into does not have and anything behind the JSON are errors:
// a newer dalamb wrote it, or it is damaged.
func DecodeTagged(value []byte, format byte, into any) error {
	if len(value) == 0 || value[0] != format {
		return fmt.Errorf("not of format %d", format)
	}
	d := json.NewDecoder(bytes.NewReader(value[1:]))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows")
	}
	return nil
}
