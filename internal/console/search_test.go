package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/wire"
)

// newestTopic is an API that has a page of the newest events of a topic, and keeps what it was asked.
type newestTopic struct {
	page  wire.NewestEvents
	asked url.Values
}

func (n *newestTopic) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/v1/events/newest" {
		n.asked = r.URL.Query()
		_ = json.NewEncoder(w).Encode(n.page)
		return
	}
	_, _ = w.Write([]byte("{}"))
}

func pageOf(events int, older string) wire.NewestEvents {
	p := wire.NewestEvents{Older: older, Whole: older == "", Since: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	for i := range events {
		p.Events = append(p.Events, wire.EventAt{Topic: "events", Offset: int64(i), Event: json.RawMessage(fmt.Sprintf(`{"type":"t","id":"%d"}`, i))})
	}
	return p
}

func TestAPageOfEventsIsAskedForAsTheFormHasIt(t *testing.T) {
	nowhere := pageOf(2, "7.7")
	nowhere.Since = time.Time{}
	for _, tt := range []struct {
		name, path string
		page       wire.NewestEvents
		asked      string // without limit
		says, not  string
		live       bool
	}{
		{"the newest", "/events", pageOf(50, "9.9"), "topic=events", "The newest 50. <a rel=\"next\" href=\"/events?older=9.9&amp;topic=events\"", "that fit", true},
		{"older ones", "/events?older=9.9", pageOf(3, ""), "older=9.9&topic=events", "The newest 3.", "rel=\"next\"", false},
		{"nothing", "/events?topic=orders", pageOf(0, ""), "topic=orders", "The topic holds nothing", "rel=\"next\"", true},
		{"a search", "/events?type=t*&from=605s&to=305s&key=k", pageOf(50, "7.7"), `before=305s&filter={"type":[{"prefix":"t"}]}&key=k&since=605s&topic=events`,
			"The newest 50 that fit. <a rel=\"next\" href=\"/events?from=605s&amp;key=k&amp;older=7.7&amp;to=305s&amp;topic=events&amp;type=t%2A\"", "The search ended", false},
		{"a search that took too long", "/events?type=t&from=2d", pageOf(2, "7.7"), `filter={"type":["t"]}&since=2d&topic=events`, "The search ended at 2026-03-01 12:00:00.000 UTC, before", "nothing fits", false},
		{"one that did not look everywhere", "/events?type=t&from=2d", nowhere, `filter={"type":["t"]}&since=2d&topic=events`, "The search ended before it had looked into every partition", "The search ended at", false},
		{"one that found nothing by then", "/events?type=t&from=2d", pageOf(0, "7.7"), `filter={"type":["t"]}&since=2d&topic=events`, ">Search on</a>", "No event of events fits", false},
		{"one that found nothing", "/events?key=k&from=earliest", pageOf(0, ""), "key=k&since=earliest&topic=events", "No event of events fits", "rel=\"next\"", false},
		{"no time", "/events?from=soon", pageOf(0, ""), "", "&#34;soon&#34; is no time", "rel=\"next\"", false},
	} {
		api := &newestTopic{page: tt.page}
		got := signedIn(t, api).get(tt.path).Body.String()
		asked := ""
		if api.asked != nil {
			api.asked.Del("limit")
			asked, _ = url.QueryUnescape(api.asked.Encode())
		}
		if asked != tt.asked || !strings.Contains(got, tt.says) || strings.Contains(got, tt.not) || strings.Contains(got, "data-live=") != tt.live {
			t.Errorf("%s: the API was asked %s, want %s; want %q and not %q in:\n%s", tt.name, asked, tt.asked, tt.says, tt.not, got[strings.Index(got, "<body"):])
		}
	}
	api := &newestTopic{page: pageOf(1, "")}
	signedIn(t, api).get("/events?type=t")
	if since, err := time.Parse(time.RFC3339Nano, api.asked.Get("since")); err != nil || time.Since(since).Round(time.Hour) != 24*time.Hour {
		t.Errorf("a search without a time goes back to %s, %v; want a day", since, err)
	}
}

func TestAnEventWithoutAKeyHasItsSubject(t *testing.T) {
	for doc, want := range map[string]string{`{"subject":"s"}`: "s", `{"subject":"s","partitionkey":"k"}`: "k", `{}`: ""} {
		if got := rowOf(&wire.EventAt{Event: json.RawMessage(doc)}).Event.Key; got != want {
			t.Errorf("the key of %s = %q, want %q", doc, got, want)
		}
	}
}

func TestAPatternIsAnObject(t *testing.T) {
	for _, pattern := range []string{"null", "[]", "1", "%7B"} {
		got := signedIn(t, &newestTopic{}).get("/events?type=x&pattern=" + pattern)
		if text := got.Body.String(); got.Code != http.StatusOK || !strings.Contains(text, "the pattern is no JSON object") {
			t.Errorf("the pattern %s = %d, want it refused:\n%.2000s", pattern, got.Code, text)
		}
	}
}
