package function

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
)

func TestKeysOfARequest(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/x/5?id=1&id=2,%203,,&id=", nil)
	r.Header["X-Id"] = []string{"3", "4, 6"}
	r.SetPathValue("id", "5")
	for _, c := range []struct {
		k          *ScatterKey
		body, want string
	}{
		{nil, "", ""},
		{&ScatterKey{Query: "id"}, "", "1|2, 3,,|"},
		{&ScatterKey{Query: "id", Split: true}, "", "1|2|3"},
		{&ScatterKey{Query: "other", Split: true}, "", ""},
		{&ScatterKey{Header: "x-id"}, "", "3|4, 6"},
		{&ScatterKey{Header: "x-id", Split: true}, "", "3|4|6"},
		{&ScatterKey{Path: "id"}, "", "5"},
		{&ScatterKey{Body: "ids"}, ` {"ids": ["a,b", 7, -1e3], "x": 1}`, "a,b|7|-1e3"},
		{&ScatterKey{Body: "ids"}, `{"ids": "a"}`, "a"},
		{&ScatterKey{Body: "ids"}, `{"ids": 12}`, "12"},
		{&ScatterKey{Body: "ids"}, `{"ids": []}`, ""},
		{&ScatterKey{Body: "ids"}, `{"ids": null}`, ""},
		{&ScatterKey{Body: "ids"}, `{}`, ""},
		{&ScatterKey{Body: "ids"}, ``, ""},
	} {
		keys, err := c.k.Keys(r, []byte(c.body))
		if got := strings.Join(keys, "|"); got != c.want || err != nil {
			t.Errorf("%+v finds %q, %v, want %q", c.k, got, err, c.want)
		}
	}
	many := strings.Repeat("1,", MaxKeys) + "1"
	for body, want := range map[string]string{
		"[1]": "the body is not a JSON object, which has the keys in its field ids", "{": "the body is not a JSON object", `{"ids": {}}`: "the field ids of the body is not a key",
		`{"ids": [1, null]}`: "the field ids of the body", `{"ids": [[1]]}`: "the field ids", `{"ids": 1, "ids": 2}`: "twice", `{"ids": [1]} x`: "not a JSON object", `{"ids": true}`: "the field ids", `{"ids": [` + many + "]}": "more than 10000 keys",
	} {
		if _, err := (&ScatterKey{Body: "ids"}).Keys(r, []byte(body)); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("keys of %.20s: %v, want %q", body, err, want)
		}
	}
	if _, err := (&ScatterKey{Query: "id", Split: true}).Keys(httptest.NewRequest("GET", "/?id="+many, nil), nil); fault.KindOf(err) != fault.Invalid {
		t.Errorf("more keys than there may be: %v", err)
	}
}

func TestARequestIsLeftWithSomeOfItsKeys(t *testing.T) {
	own := func(key string) bool { return slices.Contains([]string{"1", "3", "ä b", "x&y"}, key) }
	for _, c := range []struct {
		k             ScatterKey
		query, want   string
		header, lines []string
		body, left    string
	}{
		{k: ScatterKey{Query: "id"}, query: "a=b&id=1,2,3&c", want: "a=b&id=1,3&c"},
		{k: ScatterKey{Query: "id"}, query: "id=2&id=1&i%64=3&id", want: "id=1&i%64=3"},
		{k: ScatterKey{Query: "id"}, query: "id=%C3%A4+b%2Cx%26y,2&d=%2C", want: "id=%C3%A4+b,x%26y&d=%2C"},
		{k: ScatterKey{Header: "x-id"}, header: []string{"2", "1, 2 ,3"}, lines: []string{"1,3"}},
		{k: ScatterKey{Body: "ids"}, body: `{"z": {"b":1}, "ids": [1, "2", "3", 4]}`, left: `{"z": {"b":1}, "ids": [1,"3"]}`},
		{k: ScatterKey{Body: "ids"}, body: `{"ids": "1"}`, left: `{"ids": "1"}`},
		{k: ScatterKey{Body: "ids"}, body: `{}`, left: `{}`},
	} {
		r := httptest.NewRequest("POST", "/x?"+c.query, nil)
		r.Header["X-Id"] = c.header
		if left := c.k.Only(r, []byte(c.body), own); string(left) != c.left || r.URL.RawQuery != c.want || !slices.Equal(r.Header["X-Id"], c.lines) {
			t.Errorf("%+v leaves %s, ?%s and %q; want %s, ?%s and %q", c.k, left, r.URL.RawQuery, r.Header["X-Id"], c.left, c.want, c.lines)
		}
	}
}

// FuzzKeysOfABody holds that whatever comes as a body, each key of it is left with one of two shards, and nothing else of the list is.
func FuzzKeysOfABody(f *testing.F) {
	f.Add(`{"ids": [1, "a", -2.5e3], "x": "y"}`)
	f.Add(`{"ids": "a", "ids": [1]}`)
	f.Add(`{"IDS": [1]}`)
	f.Fuzz(func(t *testing.T, body string) {
		k := ScatterKey{Body: "ids", Split: true}
		r := httptest.NewRequest("POST", "/", nil)
		keys, err := k.Keys(r, []byte(body))
		if err != nil {
			return
		}
		first := func(key string) bool { return len(key)%2 == 0 }
		var left []string
		for _, own := range []func(string) bool{first, func(key string) bool { return !first(key) }} {
			some, err := k.Keys(r, k.Only(r, []byte(body), own))
			if err != nil {
				t.Fatalf("what is left of %q is nothing to read: %v", body, err)
			}
			left = append(left, some...)
		}
		slices.Sort(keys)
		slices.Sort(left)
		if len(keys) > 1 && !slices.Equal(keys, left) {
			t.Errorf("of %q the shards have %q, want %q", body, left, keys)
		}
	})
}
