package openapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds of the JSON that is held against a schema.
const (
	maxBodyDepth = 100
	maxDigits    = 400 // of a number, and of its exponent's value: what is computed with it has as many
)

// errManyValues is the end of what follows a body's one value.
var errManyValues = errors.New("there is something behind the value")

// readJSON reads one value and says of how many it is made. What two readers could take for different things is refused: a name that is given
// twice, text that is not UTF-8, a number without a bound.
func readJSON(text []byte) (v any, values int, err error) {
	if !utf8.Valid(text) {
		return nil, 0, errors.New("is not UTF-8")
	}
	r := &jsonReader{d: json.NewDecoder(bytes.NewReader(text))}
	r.d.UseNumber()
	if v, err = r.next(0); err == nil {
		if _, err = r.d.Token(); err == io.EOF {
			return v, r.values, nil
		} else if err == nil {
			err = errManyValues
		}
	}
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = errors.New("it ends in its midst")
	}
	return nil, 0, fmt.Errorf("is no JSON, at byte %d: %w", r.d.InputOffset(), err)
}

type jsonReader struct {
	d      *json.Decoder
	values int
}

func (r *jsonReader) next(depth int) (any, error) {
	if depth > maxBodyDepth {
		return nil, fmt.Errorf("it nests deeper than %d levels", maxBodyDepth)
	}
	t, err := r.d.Token()
	if err != nil {
		return nil, err
	}
	r.values++
	switch t := t.(type) {
	case json.Delim:
		if t == '[' {
			return r.list(depth)
		}
		return r.object(depth)
	case json.Number:
		if !usable(string(t)) {
			return nil, errors.New("a number has too many digits")
		}
	}
	return t, nil
}

func (r *jsonReader) list(depth int) (any, error) {
	list := []any{}
	for r.d.More() {
		v, err := r.next(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err := r.d.Token()
	return list, err
}

func (r *jsonReader) object(depth int) (any, error) {
	object := map[string]any{}
	for r.d.More() {
		t, err := r.d.Token()
		if err != nil {
			return nil, err
		}
		name, _ := t.(string)
		if _, twice := object[name]; twice {
			return nil, fmt.Errorf("%s is given twice", quoted(name))
		}
		if object[name], err = r.next(depth + 1); err != nil {
			return nil, err
		}
	}
	_, err := r.d.Token()
	return object, err
}

// usable says whether a text is a JSON number that can be computed with at little cost.
func usable(s string) bool {
	if len(s) > maxDigits || !json.Valid([]byte(s)) || s == "" || s[0] != '-' && (s[0] < '0' || s[0] > '9') {
		return false
	}
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		e, err := strconv.Atoi(s[i+1:])
		return err == nil && e <= maxDigits && e >= -maxDigits
	}
	return true
}
