package function

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
)

// ScatterKey names what of a request holds its keys: exactly one of the four places.
type ScatterKey struct {
	Header string `json:"header,omitempty"`
	Query  string `json:"query,omitempty"`
	Path   string `json:"path,omitempty"` // a parameter of the route's path
	Body   string `json:"body,omitempty"` // a field of the JSON object that is the body: a key, or a list of them
	// Split gives each shard its own keys alone, and reads a value of the header or the query as a list with commas.
	Split bool `json:"split,omitempty"`
}

// MaxKeys is how many keys a request may carry that is split, or has them in its body.
const MaxKeys = 10000

// Keys are those that a request with this body carries; none = nil. An error is the client's.
func (k *ScatterKey) Keys(r *http.Request, body []byte) (keys []string, err error) {
	switch {
	case k == nil:
		return nil, nil
	case k.Body != "":
		found, err := k.inBody(body)
		return found.keys, err
	case k.Path != "":
		return []string{r.PathValue(k.Path)}, nil
	}
	values := r.Header.Values(k.Header)
	if k.Query != "" {
		values = r.URL.Query()[k.Query]
	}
	if !k.Split {
		return values, nil
	}
	for _, v := range values {
		for key := range strings.SplitSeq(v, ",") {
			if key = strings.TrimSpace(key); key != "" {
				keys = append(keys, key)
			}
		}
	}
	if len(keys) > MaxKeys {
		return nil, tooManyKeys()
	}
	return keys, nil
}

func tooManyKeys() error {
	return fault.New(fault.Invalid, "the request names more than %d keys", MaxKeys).WithHint("send several requests")
}

// Only leaves the keys in a request that are own, and gives what is left of its body. The request is one that Keys takes, and nobody else's; the body
// stays as it is.
func (k *ScatterKey) Only(r *http.Request, body []byte, own func(key string) bool) []byte {
	list := func(value string, write func(string) string) string {
		var some []string
		for key := range strings.SplitSeq(value, ",") {
			if key = strings.TrimSpace(key); key != "" && own(key) {
				some = append(some, write(key))
			}
		}
		return strings.Join(some, ",")
	}
	switch {
	case k.Header != "":
		name := http.CanonicalHeaderKey(k.Header)
		var lines []string
		for _, line := range r.Header[name] {
			if line = list(line, func(key string) string { return key }); line != "" {
				lines = append(lines, line)
			}
		}
		r.Header[name] = lines
	case k.Query != "":
		var pairs []string
		for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
			name, value, _ := strings.Cut(pair, "=")
			if plain, err := url.QueryUnescape(name); err == nil && plain == k.Query {
				value, err = url.QueryUnescape(value)
				if value = list(value, url.QueryEscape); err != nil || value == "" {
					continue
				}
				pair = name + "=" + value
			}
			pairs = append(pairs, pair)
		}
		r.URL.RawQuery = strings.Join(pairs, "&")
		r.RequestURI = r.URL.RequestURI()
	case k.Body != "":
		return k.onlyInBody(body, own)
	}
	return body
}

// bodyKeys are the keys in a body.
type bodyKeys struct {
	keys     []string
	items    []json.RawMessage // as they stand there; nil = it is one key, and no list
	from, to int               // where the list stands in the body
}

// inBody reads the body, and the keys in it.
func (k *ScatterKey) inBody(body []byte) (found bodyKeys, err error) {
	if len(body) == 0 {
		return found, nil
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if open, _ := d.Token(); open != json.Delim('{') || !json.Valid(body) {
		return found, fault.New(fault.Invalid, "the body is not a JSON object, which has the keys in its field %s", k.Body)
	}
	stands := false
	for d.More() { // in JSON that is valid nothing fails
		name, _ := d.Token()
		var value json.RawMessage
		_ = d.Decode(&value)
		if name != k.Body {
			continue
		}
		if stands { // who is asked might read the other one
			return found, fault.New(fault.Invalid, "the field %s stands in the body twice", k.Body)
		}
		stands = true
		if found, err = k.listed(value); err != nil {
			return found, err
		}
		found.to = int(d.InputOffset())
		found.from = found.to - len(value)
	}
	return found, nil
}

// listed are the keys that a value of JSON is.
func (k *ScatterKey) listed(value json.RawMessage) (found bodyKeys, err error) {
	wrong := fault.New(fault.Invalid, "the field %s of the body is not a key or a list of keys", k.Body).WithHint("a key is a text or a number")
	if string(value) == "null" {
		return found, nil
	}
	if value[0] != '[' {
		key, is := keyOf(value)
		if !is {
			return found, wrong
		}
		return bodyKeys{keys: []string{key}}, nil
	}
	d := json.NewDecoder(bytes.NewReader(value))
	_, _ = d.Token() // the bracket
	for d.More() {
		var one json.RawMessage
		_ = d.Decode(&one)
		key, is := keyOf(one)
		switch {
		case !is:
			return found, wrong
		case len(found.keys) == MaxKeys:
			return found, tooManyKeys()
		}
		found.keys, found.items = append(found.keys, key), append(found.items, one)
	}
	return found, nil
}

// keyOf is what a text says, or the digits of a number.
func keyOf(value json.RawMessage) (key string, is bool) {
	switch c := value[0]; {
	case c == '"':
		return key, json.Unmarshal(value, &key) == nil
	case c == '-' || c >= '0' && c <= '9':
		return string(value), true
	}
	return "", false
}

// onlyInBody gives a body of which all but the list is as it was. Where that is one key, the shard that is asked is its own.
func (k *ScatterKey) onlyInBody(body []byte, own func(key string) bool) []byte {
	found, err := k.inBody(body)
	if err != nil || found.items == nil {
		return body
	}
	var some [][]byte
	for i, key := range found.keys {
		if own(key) {
			some = append(some, found.items[i])
		}
	}
	return slices.Concat(body[:found.from], []byte{'['}, bytes.Join(some, []byte{','}), []byte{']'}, body[found.to:])
}

func scatterKeyValue() value[ScatterKey] {
	return object(nil,
		field("header", "A header field; each line of it is a key.", text[string](), func(k *ScatterKey) *string { return &k.Header }),
		field("query", "A parameter of the query; each time it stands there is a key.", text[string](), func(k *ScatterKey) *string { return &k.Query }),
		field("path", "A parameter of the route's path.", text[string](), func(k *ScatterKey) *string { return &k.Path }),
		field("body", "A field of the JSON object that is the body: a key (text or number), or a list of keys.", text[string](), func(k *ScatterKey) *string { return &k.Body }),
		field("split", "true: each shard's request has its own keys alone, and a line of the header, or the parameter each time it stands there, is a list with commas. Default: all shards get the same request.", truth(), func(k *ScatterKey) *bool { return &k.Split }),
	)
}

func (c *checker) scatterKey(at string, r *Route) {
	k := r.Scatter.By
	if k == nil {
		return
	}
	given := slices.DeleteFunc([]string{k.Header, k.Query, k.Path, k.Body}, func(s string) bool { return s == "" })
	switch {
	case len(given) != 1:
		c.add(at, "write {header: NAME}, {query: NAME}, {path: NAME} or {body: NAME}", "names not exactly one place of keys")
	case k.Header != "" && !validToken.MatchString(k.Header):
		c.add(at+".header", "letters, digits and dashes", "%q is no name for a header", clip(k.Header))
	case k.Header != "" && r.Cache != nil && !slices.ContainsFunc(r.Cache.Vary, func(v string) bool { return strings.EqualFold(v, k.Header) }):
		c.add(at+".header", "name it in cache.vary", "answers that are kept are not told apart by it")
	case k.Path != "" && k.Split:
		c.add(at+".split", "remove it, or take the keys from the query", "a parameter of the path is one key")
	case k.Path != "" && !strings.Contains(r.Path, "{"+k.Path+"}") && !strings.Contains(r.Path, "{"+k.Path+"...}"):
		c.add(at+".path", "one of those of the route's path "+clip(r.Path), "there is no parameter %q", clip(k.Path))
	}
}
