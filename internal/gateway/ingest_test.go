package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

const structured = "application/cloudevents+json"
const batched = "application/cloudevents-batch+json"

func order(id string) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"/shop","type":"order.requested","subject":"42","data":{"total":5}}`, id)
}

func TestIngestTakesEveryForm(t *testing.T) {
	n := start(t, says(""))
	tests := []struct {
		name, path, body string
		header           []string
		want             []event.Event // ID "" = any new one
	}{
		{"structured", "/_/events", order("s1"), []string{"Content-Type", structured},
			[]event.Event{{ID: "s1", Source: "/shop", Type: "order.requested", Subject: "42", DataContentType: "application/json", Data: []byte(`{"total":5}`)}}},
		{"binary", "/_/events?topic=orders", `{"total":5}`, []string{"Content-Type", "application/json", "Ce-Specversion", "1.0", "Ce-Id", "b1", "Ce-Source", "/shop", "Ce-Type", "order.paid", "Ce-Partitionkey", "k"},
			[]event.Event{{ID: "b1", Source: "/shop", Type: "order.paid", DataContentType: "application/json", Data: []byte(`{"total":5}`), Extensions: map[string]any{"partitionkey": "k"}}}},
		{"batch", "/_/events", "[" + order("1") + "," + order("2") + "]", []string{"Content-Type", batched},
			[]event.Event{{ID: "1", Source: "/shop", Type: "order.requested", Subject: "42", DataContentType: "application/json", Data: []byte(`{"total":5}`)},
				{ID: "2", Source: "/shop", Type: "order.requested", Subject: "42", DataContentType: "application/json", Data: []byte(`{"total":5}`)}}},
		{"batch of none", "/_/events", "[]", []string{"Content-Type", batched}, []event.Event{}},
		{"by URL", "/_/events?type=order.requested&source=/web&key=42&id=u1&subject=s&ce-traceid=x", `{"total":5}`, []string{"Content-Type", "application/json"},
			[]event.Event{{ID: "u1", Source: "/web", Type: "order.requested", Subject: "s", DataContentType: "application/json", Data: []byte(`{"total":5}`), Extensions: map[string]any{"partitionkey": "42", "traceid": "x"}}}},
		{"by URL, defaults", "/_/events?type=ping", ``, nil,
			[]event.Event{{Source: "/gateway", Type: "ping"}}},
		{"by URL, JSON as curl sends it", "/_/events?type=ping", `{"a": 1}`, []string{"Content-Type", "application/x-www-form-urlencoded"},
			[]event.Event{{Source: "/gateway", Type: "ping", DataContentType: "application/json", Data: []byte(`{"a": 1}`)}}},
		{"by URL, a form", "/_/events?type=ping", `a=1&b=2`, []string{"Content-Type", "application/x-www-form-urlencoded"},
			[]event.Event{{Source: "/gateway", Type: "ping", DataContentType: "application/x-www-form-urlencoded", Data: []byte(`a=1&b=2`)}}},
		{"by URL, bytes", "/_/events?type=ping", "\x00\xff", nil,
			[]event.Event{{Source: "/gateway", Type: "ping", DataContentType: "application/octet-stream", Data: []byte("\x00\xff")}}},
		{"by URL, text", "/_/events?type=ping", "hello", []string{"Content-Type", "text/plain; charset=utf-8"},
			[]event.Event{{Source: "/gateway", Type: "ping", DataContentType: "text/plain; charset=utf-8", Data: []byte("hello")}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := n.send("POST", tt.path, tt.body, tt.header...)
			var out []stored
			if err := json.Unmarshal([]byte(g.body), &out); err != nil || g.status != http.StatusAccepted || len(out) != len(tt.want) {
				t.Fatalf("answer = %d %q, want 202 and %d lines", g.status, g.body, len(tt.want))
			}
			for i, want := range tt.want {
				r, err := n.log.Read(t.Context(), eventlog.Partition{Topic: out[i].Topic, ID: out[i].Partition}, out[i].Offset, eventlog.ReadOptions{MaxRecords: 1})
				if err != nil {
					t.Fatal(err)
				}
				e, err := eventlog.ToEvent(r[0])
				if err != nil {
					t.Fatal(err)
				}
				if e.ID != out[i].ID || (want.ID != "" && e.ID != want.ID) || len(e.ID) == 0 {
					t.Errorf("id in the log = %q, in the answer %q, want %q", e.ID, out[i].ID, want.ID)
				}
				if want.ID == "" && time.Since(e.Time) > time.Minute {
					t.Errorf("time = %v, want now", e.Time)
				}
				if e.Type != want.Type || e.Source != want.Source || e.Subject != want.Subject || e.DataContentType != want.DataContentType || string(e.Data) != string(want.Data) {
					t.Errorf("event = %+v, want %+v", e, want)
				}
				for name, v := range want.Extensions {
					if e.Extensions[name] != v {
						t.Errorf("extension %s = %v, want %v", name, e.Extensions[name], v)
					}
				}
			}
		})
	}
}

func TestIngestTimeByURL(t *testing.T) {
	n := start(t, says(""))
	if g := n.send("POST", "/_/events?topic=orders&type=ping&time=2026-01-31T12:00:00%2B01:00", ""); g.status != 202 {
		t.Fatalf("answer = %d %s", g.status, g.body)
	}
	want := time.Date(2026, 1, 31, 11, 0, 0, 0, time.UTC)
	if e := n.events("orders")[0]; !e.Time.Equal(want) {
		t.Errorf("time = %v, want %v", e.Time, want)
	}
}

// TestIngestRefuses: each bad input gets its status and words that name what is wrong, and changes nothing.
func TestIngestRefuses(t *testing.T) {
	n := start(t, says(""), func(o *Options) { o.Limits = Limits{Event: 1000, Batch: 3000} })
	big := strings.Repeat("x", 1000)
	bigEvent := strings.Replace(order("big"), `"total":5`, `"total":"`+big+`"`, 1)
	tests := []struct {
		name, method, path, body string
		header                   []string
		status                   int
		want, hint               string
	}{
		{"no token", "POST", "/_/events?type=a", "", []string{"Authorization", ""}, 401, "no token", "Authorization: Bearer"},
		{"wrong token", "POST", "/_/events?type=a", "", []string{"Authorization", "Bearer wrong"}, 401, "not this node's", ""},
		{"token's beginning", "POST", "/_/events?type=a", "", []string{"Authorization", "Bearer " + testToken[:5]}, 401, "not this node's", ""},
		{"empty token", "POST", "/_/events?type=a", "", []string{"Authorization", "Bearer "}, 401, "not this node's", ""},
		{"another scheme", "POST", "/_/events?type=a", "", []string{"Authorization", "Basic " + testToken}, 401, "not this node's", ""},
		{"token in the URL", "POST", "/_/events?type=a&token=" + testToken, "", []string{"Authorization", ""}, 401, "no token", ""},
		{"token in the URL too", "POST", "/_/events?type=a&token=" + testToken, "", nil, 400, "token in the URL is not taken", "URLs end up in logs"},
		{"GET", "GET", "/_/events", "", nil, 405, "does not take GET", "POST"},
		{"no event", "POST", "/_/events", `{"a":1}`, []string{"Content-Type", "application/json"}, 400, "not a CloudEvent", "type="},
		{"no event, no body", "POST", "/_/events", ``, nil, 400, "not a CloudEvent", "type="},
		{"missing attribute", "POST", "/_/events", `{"specversion":"1.0","id":"1","type":"t"}`, []string{"Content-Type", structured}, 400, `"source"`, ""},
		{"missing header", "POST", "/_/events", ``, []string{"Ce-Specversion", "1.0", "Ce-Id", "1", "Ce-Source", "/s"}, 400, `"type"`, ""},
		{"bad JSON", "POST", "/_/events", `{"specversion":`, []string{"Content-Type", structured}, 400, "JSON", ""},
		{"bad JSON as data", "POST", "/_/events", `{`, []string{"Content-Type", "application/json", "Ce-Specversion", "1.0", "Ce-Id", "1", "Ce-Source", "/s", "Ce-Type", "t"}, 400, `"data"`, ""},
		{"other specversion", "POST", "/_/events", `{"specversion":"0.3","id":"1","source":"/s","type":"t"}`, []string{"Content-Type", structured}, 400, "specversion", ""},
		{"other format", "POST", "/_/events", `<event/>`, []string{"Content-Type", "application/cloudevents+xml"}, 400, "application/cloudevents+xml", ""},
		{"batch, second is bad", "POST", "/_/events", "[" + order("1") + `,{"specversion":"1.0"}]`, []string{"Content-Type", batched}, 400, "event 1 of the batch", ""},
		{"batch, third is reserved", "POST", "/_/events", "[" + order("1") + "," + order("2") + `,{"specversion":"1.0","id":"3","source":"/s","type":"dalamb.x"}]`, []string{"Content-Type", batched}, 403, "event 2 of the batch", ""},
		{"batch, second is too large", "POST", "/_/events", "[" + order("1") + "," + bigEvent + "]", []string{"Content-Type", batched}, 413, "event 1 of the batch: the event is larger than the limit of 1000 bytes", ""},
		{"reserved type", "POST", "/_/events?type=dalamb.function.deployed.v1", ``, nil, 403, "dalamb.function.deployed.v1", "reserved"},
		{"system topic", "POST", "/_/events?type=a&topic=_dalamb.control", ``, nil, 403, "_dalamb.control", ""},
		{"any topic with _", "POST", "/_/events?type=a&topic=_mine", ``, nil, 403, "_mine", ""},
		{"unknown topic", "POST", "/_/events?type=a&topic=order", ``, nil, 404, `topic "order"`, "orders"},
		{"unknown topic, empty batch", "POST", "/_/events?topic=event", `[]`, []string{"Content-Type", batched}, 404, `topic "event"`, "events"},
		{"too large", "POST", "/_/events?type=a", strings.Repeat(big, 2), nil, 413, "limit of 1000 bytes", ""},
		{"too large with its attributes", "POST", "/_/events?type=a", big[:990], nil, 413, "limit of 1000 bytes", ""},
		{"too large, structured", "POST", "/_/events", bigEvent, []string{"Content-Type", structured}, 413, "limit of 1000 bytes", ""},
		{"too large, batch", "POST", "/_/events", "[" + strings.Repeat(" ", 3000) + "]", []string{"Content-Type", batched}, 413, "limit of 3000 bytes", ""},
		{"URL without a type", "POST", "/_/events?source=/s", ``, nil, 400, `"type"`, ""},
		{"URL with an unknown parameter", "POST", "/_/events?typ=a", ``, nil, 400, `"typ"`, "type"},
		{"URL with a parameter twice", "POST", "/_/events?type=a&type=b", ``, nil, 400, `"type" 2 times`, ""},
		{"URL that is malformed", "POST", "/_/events?type=%zz", ``, nil, 400, "query is malformed", ""},
		{"URL with a bad time", "POST", "/_/events?type=a&time=yesterday", ``, nil, 400, `"time"`, "2026-01-31T12:00:00Z"},
		{"URL with a bad source", "POST", "/_/events?type=a&source=a%20b", ``, nil, 400, `"source"`, ""},
		{"URL with a bad extension", "POST", "/_/events?type=a&ce-Bad_name=1", ``, nil, 400, "Bad_name", ""},
		{"URL with the key twice", "POST", "/_/events?type=a&key=1&ce-partitionkey=2", ``, nil, 400, "partitionkey", ""},
		{"URL says JSON, body is not", "POST", "/_/events?type=a", `{`, []string{"Content-Type", "application/json"}, 400, `"data"`, "text/plain"},
		{"URL and event", "POST", "/_/events?type=a", order("1"), []string{"Content-Type", structured}, 400, "its URL describes an event too", "type"},
		{"content type that is none", "POST", "/_/events?type=a", `x`, []string{"Content-Type", "text"}, 400, "datacontenttype", ""},
		{"no such path", "POST", "/_/event", ``, nil, 404, "/_/event", "/_/events"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := n.send(tt.method, tt.path, tt.body, tt.header...)
			f := g.fault(t)
			if g.status != tt.status || !strings.Contains(f.Message, tt.want) || !strings.Contains(f.Hint, tt.hint) {
				t.Errorf("answer = %d %+v, want %d with %q and a hint with %q", g.status, f, tt.status, tt.want, tt.hint)
			}
			if strings.Contains(g.body, testToken) {
				t.Errorf("answer %s gives the token away", g.body)
			}
		})
	}
	for _, topic := range []string{"events", "orders"} {
		if rs := n.records(topic); len(rs) != 0 {
			t.Errorf("topic %s holds %d records after refusals alone", topic, len(rs))
		}
	}
}

func TestIngestChallenges(t *testing.T) {
	n := start(t, says(""))
	if g := n.send("POST", "/_/events?type=a", "", "Authorization", ""); g.header.Get("WWW-Authenticate") == "" {
		t.Errorf("401 without WWW-Authenticate: %v (RFC 9110, section 11.6.1 wants it)", g.header)
	}
}

func TestIngestWhenTheLogFails(t *testing.T) {
	n := start(t, says(""))
	n.log.fail(fault.New(fault.Unavailable, "the disk is full").WithHint("free some space"))
	g := n.send("POST", "/_/events?type=a", "")
	if f := g.fault(t); g.status != 503 || g.header.Get("Retry-After") == "" || !strings.Contains(f.Message, "the disk is full") || f.Hint != "free some space" {
		t.Errorf("answer = %d %v %+v, want 503, Retry-After and the log's words", g.status, g.header, f)
	}
	n.log.fail(errors.New("open /var/lib/secret/db: input/output error"))
	g = n.send("POST", "/_/events?type=a", "")
	if f := g.fault(t); g.status != 500 || strings.Contains(g.body, "/var/lib") || f.Kind != "internal" {
		t.Errorf("answer = %d %s, want 500 without the inner words", g.status, g.body)
	}
	if !strings.Contains(n.said.String(), "/var/lib/secret") {
		t.Errorf("node's log = %q, want the inner words", n.said)
	}
	n.log.heal()
	if g := n.send("POST", "/_/events?type=a", ""); g.status != 202 {
		t.Errorf("answer after healing = %d %s, want 202", g.status, g.body)
	}
}

func TestIngestKeepsKeysTogether(t *testing.T) {
	n := start(t, says(""))
	seen := map[string]int32{}
	for i := range 40 {
		key := fmt.Sprint(i % 7)
		var out []stored
		g := n.send("POST", "/_/events?type=a&key="+key, "")
		if err := json.Unmarshal([]byte(g.body), &out); err != nil {
			t.Fatal(err)
		}
		if p, ok := seen[key]; ok && p != out[0].Partition {
			t.Errorf("key %s is in partitions %d and %d", key, p, out[0].Partition)
		}
		if want := eventlog.PartitionFor([]byte(key), 4); out[0].Partition != want {
			t.Errorf("key %s is in partition %d, want %d as Kafka has it", key, out[0].Partition, want)
		}
		seen[key] = out[0].Partition
	}
}

func FuzzIngest(f *testing.F) {
	n := start(f, says(""), func(o *Options) { o.Limits.Event = 4 << 10 })
	f.Add("type=a&source=/s", "application/json", "", "", `{"a":1}`)
	f.Add("", structured, "", "", order("1"))
	f.Add("", batched, "", "", "["+order("1")+"]")
	f.Add("topic=orders", "text/plain", "1", "t", "x")
	f.Add("type=%00&key=\x7f", "a/b; c=\"", "%", "\"", "\xff")
	f.Fuzz(func(t *testing.T, query, contentType, id, typ, body string) {
		req, err := http.NewRequest("POST", "http://gateway/_/events", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.URL.RawQuery = query
		req.Header = http.Header{"Authorization": {"Bearer " + testToken}, "Content-Type": {contentType}}
		if id != "" {
			req.Header["Ce-Id"], req.Header["Ce-Type"] = []string{id}, []string{typ}
			req.Header["Ce-Source"], req.Header["Ce-Specversion"] = []string{"/s"}, []string{"1.0"}
		}
		w := record200{header: http.Header{}}
		n.ServeHTTP(&w, req)
		switch {
		case w.status >= 500:
			t.Fatalf("answer = %d %s", w.status, w.body)
		case w.status != 202:
			var b struct {
				Error struct{ Kind, Message string }
			}
			if err := json.Unmarshal([]byte(w.body), &b); err != nil || b.Error.Message == "" {
				t.Fatalf("answer = %d %q, want the JSON of an error", w.status, w.body)
			}
			return
		}
		var out []stored
		if err := json.Unmarshal([]byte(w.body), &out); err != nil {
			t.Fatal(err)
		}
		for _, s := range out { // what was taken in must come out as a valid event
			r, err := n.log.Read(t.Context(), eventlog.Partition{Topic: s.Topic, ID: s.Partition}, s.Offset, eventlog.ReadOptions{MaxRecords: 1, NoWait: true})
			if err != nil {
				t.Fatal(err)
			}
			e, err := eventlog.ToEvent(r[0])
			if err != nil || e.ID != s.ID {
				t.Fatalf("event %s in the log = %+v, %v", s.ID, e, err)
			}
			if _, err := e.MarshalJSON(); err != nil {
				t.Fatalf("event %s in the log: %v", s.ID, err)
			}
		}
	})
}

// record200 is a small http.ResponseWriter.
type record200 struct {
	header http.Header
	status int
	body   string
}

func (w *record200) Header() http.Header    { return w.header }
func (w *record200) WriteHeader(status int) { w.status = status }
func (w *record200) Write(p []byte) (int, error) {
	w.body += string(p)
	return len(p), nil
}
