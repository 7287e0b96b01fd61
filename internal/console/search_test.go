package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/wire"
)

// longTopic is an API with one topic of two partitions, whose events are a second apart. Every ninth fits each filter.
type longTopic struct {
	held   int64
	now    time.Time
	looked int64
}

func (l *longTopic) at(offset int64) wire.EventAt {
	return wire.EventAt{
		Topic: "events", Offset: offset, Time: l.now.Add(-time.Duration(l.held-offset) * time.Second),
		Event: json.RawMessage(fmt.Sprintf(`{"type":"t","id":"%d"}`, offset)),
	}
}

func (l *longTopic) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	say := json.NewEncoder(w)
	switch q := r.URL.Query(); {
	case r.URL.Path == "/v1/topics/events":
		_ = say.Encode(wire.Topic{Name: "events", Partitions: 2, Bounds: []wire.Partition{{ID: 0, End: l.held}, {ID: 1}}})
	case strings.HasPrefix(r.URL.Path, "/v1/events/"):
		offset, _ := strconv.ParseInt(r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:], 10, 64)
		_ = say.Encode(l.at(offset))
	case r.URL.Path == "/v1/events" && q.Get("partition") == "0":
		from, _ := strconv.ParseInt(q.Get("from"), 10, 64)
		for ; from < l.held; from++ {
			if l.looked++; from%9 == 0 {
				_ = say.Encode(l.at(from))
			}
		}
	case r.URL.Path == "/v1/events": // nothing is in the other partition
	default:
		_, _ = w.Write([]byte("{}"))
	}
}

func TestASearchFindsTheNewestAndLooksNoFurther(t *testing.T) {
	for _, tt := range []struct {
		from        string
		held, looks int64
		want        string
	}{
		{"earliest", 100_000, 60 + 480 + 3840, "427 found that fit, the newest first; 100 are shown."}, // enough in the third stretch
		{"605s", 100_000, 60 + 480 + 3840, "68 found that fit, the newest first."},                     // no older ones, though the stretch has some
		{"305s", 100_000, 60 + 480, "34 found that fit, the newest first."},
		{"earliest", 300, 60 + 300, "34 found that fit, the newest first."},
	} {
		newest := (tt.held - 1) / 9 * 9
		api := &longTopic{held: tt.held, now: time.Now()}
		got := signedIn(t, api).get("/events?type=t&from=" + tt.from).Body.String()
		if !strings.Contains(got, tt.want) || !strings.Contains(got, fmt.Sprintf("0@%d<", newest)) || !strings.Contains(got, fmt.Sprintf("0@%d<", max(0, newest-9*33))) || tt.held > 9000 && strings.Contains(got, "0@96894<") || api.looked != tt.looks {
			t.Errorf("since %s of %d: looked at %d, want %d; want %q in:\n%s", tt.from, tt.held, api.looked, tt.looks, tt.want, got[strings.Index(got, "<main"):])
		}
	}
	got := signedIn(t, &longTopic{held: 100_000, now: time.Now()}).get("/events?from=605s&to=305s").Body.String()
	if !strings.Contains(got, ">34 found that fit") || strings.Contains(got, "0@99999<") {
		t.Errorf("between 605 and 305 s ago:\n%s", got)
	}
	if got = signedIn(t, &longTopic{}).get("/events?from=soon").Body.String(); !strings.Contains(got, "&#34;soon&#34; is no time") {
		t.Errorf("since no time:\n%s", got)
	}
}

func TestAPatternIsAnObject(t *testing.T) {
	for _, pattern := range []string{"null", "[]", "1", "%7B"} {
		got := signedIn(t, &longTopic{held: 9, now: time.Now()}).get("/events?type=x&pattern=" + pattern)
		if text := got.Body.String(); got.Code != http.StatusOK || !strings.Contains(text, "the pattern is no JSON object") {
			t.Errorf("the pattern %s = %d, want it refused:\n%.2000s", pattern, got.Code, text)
		}
	}
}
