package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// query holds the parameters of one request, each checked to be one that its route knows.
type query struct{ values url.Values }

func parseQuery(rt route, raw string) (query, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return query{}, fault.New(fault.Invalid, "the query cannot be read: %w", err)
	}
	var known []string
	for _, p := range rt.Query {
		known = append(known, p.Name)
	}
	for name, vs := range values {
		if !slices.Contains(known, name) {
			e := fault.New(fault.Invalid, "query parameter %q is not known here", name)
			if len(known) > 0 {
				e = e.WithHint("known: %s", strings.Join(known, ", "))
			}
			return query{}, e
		}
		if len(vs) > 1 {
			return query{}, fault.New(fault.Invalid, "query parameter %q is given %d times", name, len(vs))
		}
	}
	return query{values}, nil
}

func (q query) text(name string) string { return q.values.Get(name) }

// number returns a whole number from low to high, or missing where it is absent.
func (q query) number(name string, missing, low, high int64) (int64, error) {
	s := q.values.Get(name)
	if s == "" {
		return missing, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < low || n > high {
		return 0, fault.New(fault.Invalid, "query parameter %q: %q is not a whole number from %d to %d", name, s, low, high)
	}
	return n, nil
}

func (q query) flag(name string) (bool, error) {
	if !q.values.Has(name) {
		return false, nil
	}
	switch s := q.values.Get(name); s {
	case "false", "0":
		return false, nil
	case "", "true", "1":
		return true, nil
	default:
		return false, fault.New(fault.Invalid, "query parameter %q: %q is neither true nor false", name, s)
	}
}

// time returns a point in time, or zero where it is absent.
func (q query) time(name string, now time.Time) (time.Time, error) {
	s := q.values.Get(name)
	if s == "" {
		return time.Time{}, nil
	}
	t, ok := function.ParseMoment(s, now)
	if !ok {
		return time.Time{}, fault.New(fault.Invalid, "query parameter %q: %q is not a time", name, s).WithHint(function.TimeForms)
	}
	return t, nil
}

// decode reads a JSON body: one value, no unknown fields, bounded.
func decode(r *http.Request, v any) error {
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxJSON))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			return fault.New(fault.Invalid, "the body holds more than one JSON value")
		}
		return nil
	}
	var tooLarge *http.MaxBytesError
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &tooLarge):
		return fault.New(fault.TooLarge, "the body is larger than %d bytes", tooLarge.Limit)
	case errors.Is(err, io.EOF):
		return fault.New(fault.Invalid, "the body is empty").WithHint("send a JSON object")
	case errors.As(err, &wrong):
		field := wrong.Field
		if field == "" {
			field = "the body"
		}
		return fault.New(fault.Invalid, "%s: a %s cannot be a %s", field, wrong.Value, wrong.Type)
	}
	return fault.New(fault.Invalid, "the body is not what this call takes: %s", strings.TrimPrefix(err.Error(), "json: "))
}

// body reads a whole body of at most limit bytes.
func body(r *http.Request, limit int64) ([]byte, error) {
	b, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, limit))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, fault.New(fault.TooLarge, "the body is larger than %d bytes", limit)
	case err != nil:
		return nil, fmt.Errorf("read the body: %w", err)
	}
	return b, nil
}

// validName holds the rule of function names, for what else has a name.
func validName(name string) bool {
	return len(name) <= 63 && name != "" && name[0] >= 'a' && name[0] <= 'z' && !strings.HasSuffix(name, "-") &&
		strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}
