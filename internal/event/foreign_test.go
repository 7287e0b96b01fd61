package event

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

func foreign(change func(*Foreign)) *Foreign {
	f := &Foreign{Topic: "payments", Partition: 3, Offset: 17, Time: time.UnixMilli(1_700_000_000_123)}
	change(f)
	return f
}

func TestForeignRecordsAreDescribed(t *testing.T) {
	large := bytes.Repeat([]byte{'x'}, MaxForeign)
	for _, c := range []struct {
		name string
		f    func(*Foreign)
		key  string // partitionkey
		data string // beside topic, partition and offset
	}{
		{"nothing at all", func(*Foreign) {}, "", ``},
		{"JSON", func(f *Foreign) { f.Key, f.Value = []byte("k"), []byte(` {"a": [1, 2.50], "b":"<&>"}`+"\n") }, "k", `,"key":"k","value":{"a":[1,2.50],"b":"<&>"}`},
		{"a number", func(f *Foreign) { f.Value = []byte("12345678901234567890") }, "", `,"value":12345678901234567890`},
		{"null is a value", func(f *Foreign) { f.Value = []byte("null") }, "", `,"value":null`},
		{"an empty value is one", func(f *Foreign) { f.Value = []byte{} }, "", `,"value64":""`},
		{"text is no JSON", func(f *Foreign) { f.Value = []byte("hello") }, "", `,"value64":"aGVsbG8="`},
		{"JSON with bytes that are no text", func(f *Foreign) { f.Value = []byte("\"\xff\"") }, "", `,"value64":"Iv8i"`},
		{"an empty key is none to order by", func(f *Foreign) { f.Key = []byte{} }, "", `,"key":""`},
		{"a key of bytes", func(f *Foreign) { f.Key = []byte{0xff, 0} }, "/wA=", `,"key64":"/wA="`},
		{"a key that cannot be an attribute", func(f *Foreign) { f.Key = []byte("a\nb") }, "YQpi", `,"key":"a\nb"`},
		{"headers", func(f *Foreign) {
			f.Headers = []Header{{"b", []byte("1")}, {"a", nil}, {"b", []byte("2")}, {"b", []byte{0xff}}, {"\xff", []byte("n")}}
		}, "", `,"headers":{"a":[""],"b":["1","2"],"` + "\uFFFD" + `":["n"]},"headers64":{"b":["/w=="]}`},
		{"too large", func(f *Foreign) { f.Key, f.Value, f.Headers = []byte("k"), large, []Header{{"h", nil}} }, "k", `,"key":"k","size":4194306`},
		{"too large by its key", func(f *Foreign) { f.Key = append(large, 'x') }, HashID(append(large, 'x')), `,"size":4194305`},
		{"just not too large", func(f *Foreign) { f.Value = large[:MaxForeign] }, "", `,"value64":"` + strings.Repeat("eHh4", MaxForeign/3) + `eA=="`},
		{"broken", func(f *Foreign) { f.Value, f.Fault = []byte("1"), "no id" }, "", `,"value":1,"fault":"no id"`},
	} {
		e := foreign(c.f).Event()
		want := `{"topic":"payments","partition":3,"offset":17` + c.data + `}`
		if string(e.Data) != want {
			t.Errorf("%s: data = %.300s, want %.300s", c.name, e.Data, want)
		}
		if e.Key() != c.key {
			t.Errorf("%s: key = %q, want %q", c.name, e.Key(), c.key)
		}
		if e.Type != "dalamb.record.v1" || e.Source != "/topics/payments" || !e.Time.Equal(time.UnixMilli(1_700_000_000_123)) || !e.IsJSON() {
			t.Errorf("%s: event = %+v", c.name, e)
		}
		checkAccepted(t, e)
	}
}

func TestForeignRecordsHaveIdsOfTheirOwn(t *testing.T) {
	base := func(f *Foreign) { f.Key, f.Value = []byte("k"), []byte("v") }
	seen := map[string]string{foreign(base).Event().ID: "the record itself"}
	if again := foreign(base).Event().ID; seen[again] == "" {
		t.Errorf("the same record has another id the second time: %s", again)
	}
	for name, change := range map[string]func(*Foreign){
		"another topic":     func(f *Foreign) { f.Topic = "payment" },
		"another partition": func(f *Foreign) { f.Partition++ },
		"another offset":    func(f *Foreign) { f.Offset++ },
		"another time":      func(f *Foreign) { f.Time = f.Time.Add(time.Millisecond) },
		"another value":     func(f *Foreign) { f.Value = []byte("w") },
		"another key":       func(f *Foreign) { f.Key = []byte("kv") },
		"a shifted key":     func(f *Foreign) { f.Key, f.Value = []byte("kv"), []byte{} },
	} {
		id := foreign(func(f *Foreign) { base(f); change(f) }).Event().ID
		if seen[id] != "" {
			t.Errorf("%s has the id of %s", name, seen[id])
		}
		seen[id] = name
	}
}

func FuzzForeign(f *testing.F) {
	f.Add([]byte("k"), []byte(`{"a":1}`), "h: 1\nh: 2")
	f.Add([]byte{0xff}, []byte("\"\xff\""), "\xff: \xfe")
	f.Add([]byte(nil), []byte("[[[1e999]]]"), "ce_id: 1\n: ")
	f.Add([]byte("\u0085"), []byte(" \"\u2028<\" "), "a: b")
	f.Fuzz(func(t *testing.T, key, value []byte, headers string) {
		r := foreign(func(f *Foreign) { f.Key, f.Value = key, value })
		for _, l := range lines(headers) {
			r.Headers = append(r.Headers, Header{l[0], []byte(l[1])})
		}
		e := r.Event()
		checkAccepted(t, e)
		var d foreignData
		if err := json.Unmarshal(e.Data, &d); err != nil {
			t.Fatalf("data %s is no JSON: %v", e.Data, err)
		}
		var whole bool
		switch {
		case d.Value != nil:
			whole = sameJSON(d.Value, value)
		case d.Value64 != nil:
			var b []byte
			err := json.Unmarshal([]byte(`"`+*d.Value64+`"`), &b)
			whole = err == nil && bytes.Equal(b, value)
		}
		if !whole && value != nil {
			t.Fatalf("the value %q comes back from %s as something else", value, e.Data)
		}
		if (len(key) > 0) != (e.Key() != "") {
			t.Fatalf("key %q became %q", key, e.Key())
		}
	})
}

func sameJSON(a, b []byte) bool {
	var x, y any
	read := func(text []byte, into *any) error {
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		return d.Decode(into)
	}
	return read(a, &x) == nil && read(b, &y) == nil && reflect.DeepEqual(x, y)
}

func TestForeignRecordsComeBack(t *testing.T) {
	for _, c := range []struct {
		name string
		f    func(*Foreign)
	}{
		{"nothing at all", func(*Foreign) {}},
		{"JSON", func(f *Foreign) { f.Key, f.Value = []byte("k"), []byte(`{"a":[1,2.50],"b":"<&>"}`) }},
		{"null is a value", func(f *Foreign) { f.Value = []byte("null") }},
		{"empty ones", func(f *Foreign) { f.Key, f.Value = []byte{}, []byte{} }},
		{"bytes", func(f *Foreign) { f.Key, f.Value = []byte{0xff, 0}, []byte{1, 0xff} }},
		{"headers", func(f *Foreign) {
			f.Headers = []Header{{"a", []byte{}}, {"b", []byte("1")}, {"b", []byte("2")}, {"b", []byte{0xff}}}
		}},
		{"broken", func(f *Foreign) { f.Value, f.Fault = []byte("1"), "no id" }},
	} {
		want := foreign(c.f)
		got, ok := ForeignOf(want.Event())
		if !ok {
			t.Errorf("%s: it is not whole", c.name)
			continue
		}
		if want.Time = want.Time.UTC(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: ForeignOf = %+v, want %+v", c.name, got, want)
		}
	}
	for name, e := range map[string]*Event{
		"too large":     foreign(func(f *Foreign) { f.Value = bytes.Repeat([]byte{'x'}, MaxForeign+1) }).Event(),
		"another event": {ID: "1", Source: "/s", Type: "t", Data: []byte(`{"value":1}`)},
		"no data":       {ID: "1", Source: "/s", Type: TypeRecord},
		"edited badly":  {ID: "1", Source: "/s", Type: TypeRecord, Data: []byte(`{"value64":"?"}`)},
	} {
		if got, ok := ForeignOf(e); ok {
			t.Errorf("%s: ForeignOf = %+v, want none", name, got)
		}
	}
}
