package event

import (
	"encoding/base64"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"time"
)

// SetExtension sets an extension attribute to the canonical form of v: a bool, an integer within int32, a string, a []byte,
// a time.Time or a *url.URL. CloudEvents 1.0, section 2.3. On an error, which is an *Error, nothing has changed.
func (e *Event) SetExtension(name string, v any) error {
	c, err := canonical(name, v)
	if err != nil {
		return err
	}
	if err := validateExtension(name, c); err != nil {
		return err
	}
	if e.Extensions == nil {
		e.Extensions = make(map[string]any)
	}
	e.Extensions[name] = c
	return nil
}

func canonical(name string, v any) (any, error) {
	switch v := v.(type) {
	case bool, int32:
		return v, nil
	case string:
		return typed(name, v)
	case []byte:
		return base64.StdEncoding.EncodeToString(v), nil
	case time.Time:
		if y := v.UTC().Year(); y < 0 || y > 9999 {
			return nil, wrong(name, "the year %d has no RFC 3339 form", y)
		}
		return string(appendTime(nil, v)), nil
	case *url.URL:
		if v == nil {
			return nil, wrong(name, "the URL is nil")
		}
		return v.String(), nil
	case int:
		return integer(name, int64(v))
	case int8:
		return int32(v), nil
	case int16:
		return int32(v), nil
	case int64:
		return integer(name, v)
	case uint8:
		return int32(v), nil
	case uint16:
		return int32(v), nil
	case uint32:
		return integer(name, int64(v))
	case uint:
		return integer(name, int64(min(v, math.MaxInt64)))
	case uint64:
		return integer(name, int64(min(v, math.MaxInt64)))
	}
	return nil, wrong(name, "a %T cannot be an attribute; use a bool, an integer, a string, bytes, a time or a URL", v)
}

func integer(name string, n int64) (any, error) {
	if n < math.MinInt32 || n > math.MaxInt32 {
		return nil, wrong(name, "%d is outside of a CloudEvents integer's range, -2147483648 to 2147483647", n)
	}
	return int32(n), nil
}

// typed gives an extension its type back where only text arrived. ExtHops is the one extension whose type dalamb
// defines; anything else stays the string that it is.
func typed(name, s string) (any, error) {
	if name != ExtHops {
		return s, nil
	}
	n, err := parseInt32(s)
	if err != nil {
		return nil, wrong(name, "%v", err)
	}
	return n, nil
}

func validateExtension(name string, v any) error {
	if reason := badName(name); reason != "" {
		return wrong(name, "%s", reason)
	}
	if name == ExtHops {
		if n, ok := v.(int32); !ok || n < 0 {
			return wrong(name, "is not a whole number from 0 on")
		}
	}
	switch v := v.(type) {
	case bool, int32:
	case string:
		if reason := badString(v); reason != "" {
			return wrong(name, "%s", reason)
		}
	default:
		return wrong(name, "a %T cannot be an attribute; set it with SetExtension", v)
	}
	return nil
}

// appendText adds an extension's canonical string form, which is how headers carry it.
func appendText(b []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return append(b, v...)
	case int32:
		return strconv.AppendInt(b, int64(v), 10)
	case bool:
		return strconv.AppendBool(b, v)
	}
	return fmt.Append(b, v)
}
