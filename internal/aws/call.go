package aws

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/fault"
)

func newRequestID() string { return event.NewID() }

// call is one request for an operation.
type call struct {
	r    *http.Request
	body []byte
	q    url.Values
}

func newCall(w http.ResponseWriter, r *http.Request, op operation) (*call, error) {
	body, err := readBody(w, r, bodyBounds{op.most(), timeFor(op.most())})
	if err != nil {
		return nil, err
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badValue("the query cannot be read: %w", err)
	}
	return &call{r: r, body: body, q: q}, nil
}

func (c *call) ctx() context.Context { return c.r.Context() }

// decode reads the body strictly: a setting that means nothing here is better refused than lost.
func (c *call) decode(v any) error {
	if len(bytes.TrimSpace(c.body)) == 0 {
		return nil // which some clients send where no member is required
	}
	d := json.NewDecoder(bytes.NewReader(c.body))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			return unreadable("the body holds more than one JSON value")
		}
		return nil
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return unreadable(wrong.Field + ": a " + wrong.Value + " cannot be a " + wrong.Type.String())
	}
	text := strings.TrimPrefix(err.Error(), "json: ")
	if name, ok := strings.CutPrefix(text, "unknown field "); ok {
		return badValue("%s: dalamb has no such setting", strings.Trim(name, `"`)).WithHint("docs/aws.md lists what there is")
	}
	return unreadable("Could not parse request body into json: " + text)
}

func unreadable(message string) error {
	return &refusal{http.StatusBadRequest, "InvalidRequestContentException", fault.New(fault.Invalid, "%s", message)}
}

// page is what of a list is asked for.
type page struct {
	after string // the key of the last item before
	most  int
}

const maxPage = 50 // of functions, versions and aliases; AWS Lambda API reference, MaxItems

func (c *call) page() (page, error) {
	most := maxPage
	if text := c.q.Get("MaxItems"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 10000 {
			return page{}, badValue("MaxItems: %q is not a whole number from 1 to 10000", text)
		}
		most = min(n, maxPage)
	}
	return readPage(c.q.Get("Marker"), most)
}

// readPage is the one that a marker, "" = the first, leads to.
func readPage(marker string, most int) (page, error) {
	after, err := base64.RawURLEncoding.DecodeString(marker)
	if err != nil {
		return page{}, badValue("the marker %q is none that was given", fault.Clip(marker))
	}
	return page{after: string(after), most: most}, nil
}

// cut takes a page of a list whose keys rise, and says where the next one begins; "" = there is none.
func cut[T any](p page, list []T, key func(T) string) ([]T, string) {
	if p.after != "" {
		i, found := slices.BinarySearchFunc(list, p.after, func(one T, after string) int { return strings.Compare(key(one), after) })
		if found {
			i++
		}
		list = list[i:]
	}
	if len(list) <= p.most {
		return list, ""
	}
	list = list[:p.most]
	return list, base64.RawURLEncoding.EncodeToString([]byte(key(list[len(list)-1])))
}
