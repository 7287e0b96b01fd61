package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// crowd answers with more triggers than a map has room for, of which the last ones had runs and requests.
func crowd(most int) http.Handler {
	var triggers wire.TriggerList
	for i := range most {
		t := wire.FunctionTrigger{Function: fmt.Sprintf("f-%03d", i)}
		t.Name, t.Topic = "on-order", fmt.Sprintf("topic-%d", i%5)
		invoke := wire.FunctionTrigger{Function: t.Function}
		invoke.Name, invoke.Topic = function.InvokeTrigger, function.TopicInvoke
		triggers.Triggers = append(triggers.Triggers, t, invoke)
	}
	web := wire.FunctionTrigger{Function: "web"}
	web.Name, web.Route = "page", &function.Route{Method: "GET", Path: "/"}
	triggers.Triggers = append(triggers.Triggers, web)
	last := fmt.Sprintf("f-%03d", most-1)
	counts := wire.RunCounts{Triggers: []wire.TriggerRuns{{Function: last, Trigger: "on-order", Runs: map[function.RunState]int64{function.RunDead: 2}}}}
	health := wire.NodeHealth{Functions: []wire.Health{{Function: "web", Window: function.Duration(30 * time.Second), Measures: []wire.HealthMeasure{{Name: "errors", Samples: 7}}}}}
	record := json.RawMessage(`{"data":{"function":"web","route":"page","method":"GET","path":"/a?b=1","status":500,"outcome":"failed","version":3,"duration":"20ms","failure":{"errorMessage":"no ink"}}}`)
	requests := wire.NewestEvents{Events: []wire.EventAt{{Topic: function.TopicRequests, Partition: 1, Offset: 9, Time: time.Now(), Event: record}}}
	mux := http.NewServeMux()
	for path, answer := range map[string]any{"/v1/triggers": triggers, "/v1/run-counts": counts, "/v1/health": health, "/v1/events/newest": requests} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(answer) })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) })
	return mux
}

// Where not everything fits, the map begins with what somebody should look at; the others are a link away.
func TestTheMapBeginsWithWhatGoesOn(t *testing.T) {
	v := signedIn(t, crowd(300))
	page := v.get("/flow").Body.String()
	for _, want := range []string{`>f-299</text>`, ">2 runs in 15 min</text>", `>web</text>`, ">7 calls in 30 s</text>", "80 of 301 triggers", `href="/flow?from=80"`, `<title>1 request in 15 min`} {
		if !strings.Contains(page, want) {
			t.Errorf("the map lacks %q", want)
		}
	}
	if strings.Contains(page, ">f-080</text>") || strings.Contains(page, ">invoke</text>") {
		t.Error("the map has more than fits, or calls that nobody made")
	}
	page = v.get("/flow?from=240").Body.String()
	if !strings.Contains(page, "61 of 301 triggers") || strings.Contains(page, "The next ones") {
		t.Error("the last part of the map does not end")
	}
	for _, from := range []string{"9999", "9223372036854775807", "99999999999999999999"} {
		if page = v.get("/flow?from=" + from).Body.String(); !strings.Contains(page, "There are no more triggers.") {
			t.Errorf("behind the last part, at %s, nothing says so", from)
		}
	}
	if page = v.get("/flow?search=topic-3").Body.String(); !strings.Contains(page, ">f-003</text>") || strings.Contains(page, ">f-004</text>") {
		t.Error("the map is not searched by topic")
	}
}

// Of an API that has no time for what went on the page says so, and draws what there is.
func TestTheMapIsDrawnWithoutWhatWentOn(t *testing.T) {
	api := crowd(3)
	v := signedIn(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/events/newest" {
			if limit, err := strconv.Atoi(r.FormValue("limit")); err != nil || limit > 100 {
				t.Errorf("limit = %s, want at most 100, for which no place among the searches is needed", r.FormValue("limit"))
			}
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		api.ServeHTTP(w, r)
	}))
	page := v.get("/flow").Body.String()
	for _, want := range []string{"Not known now: requests: ", ">f-000</text>", ">2 runs in 15 min</text>"} {
		if !strings.Contains(page, want) {
			t.Errorf("the map lacks %q", want)
		}
	}
}

// What stands below each other has room, within the drawing.
func TestBoxesOfAMapDoNotOverlap(t *testing.T) {
	d := &drawing{boxes: map[string]*box{}}
	for i := range 40 { // all of the topics hang at the last trigger, all of the outs at the first function
		trigger, fn := fmt.Sprintf("t%02d", i), fmt.Sprintf("f%02d", i/2)
		d.put(2, trigger, box{Name: trigger})
		d.put(3, fn, box{Name: fn})
		d.ways = append(d.ways, way{from: trigger, to: fn})
	}
	for i := range 12 {
		topic, out := fmt.Sprintf("a%02d", i), fmt.Sprintf("o%02d", i)
		d.put(1, topic, box{Name: topic})
		d.put(4, out, box{Name: out})
		d.ways = append(d.ways, way{from: topic, to: "t39"}, way{from: "f00", to: out})
	}
	var p flowPage
	p.place(d)
	below := map[int]int{}
	for _, b := range p.Boxes {
		if y, there := below[b.X]; there && b.Y < y+flowBox+4 {
			t.Errorf("%s at %d stands on what is at %d", b.Name, b.Y, y)
		}
		below[b.X] = b.Y
		if b.Y < 0 || b.Y+flowBox > p.Height {
			t.Errorf("%s at %d is outside of a drawing of %d", b.Name, b.Y, p.Height)
		}
	}
	if len(below) != 4 {
		t.Errorf("%d columns, want 4", len(below))
	}
}

// A function that answers requests has them, their errors and durations on its page, though it never had a run.
func TestAFunctionHasItsRequests(t *testing.T) {
	v := signedIn(t, crowd(1))
	page := v.get("/functions/web").Body.String()
	for _, want := range []string{"Newest requests", "GET /a?b=1", "no ink", `href="/events/_dalamb.requests/1/9"`, "20 ms"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

// The overview has room for some topics: those that take or hold most.
func TestTheBusiestTopicsAreShown(t *testing.T) {
	var all []topicRate
	for i := range 20 {
		rate := float64(i % 3)
		all = append(all, topicRate{Name: fmt.Sprintf("t%02d", i), Held: int64(i), Rate: &rate})
	}
	all = append(all, topicRate{Name: "new"})
	shown, left := busiest(all)
	names := ""
	for _, one := range shown {
		names += one.Name + " "
	}
	if names != "t02 t05 t08 t11 t14 t16 t17 t19 " || left != 13 {
		t.Errorf("shown are %q and %d others are left", names, left)
	}
	if shown, left := busiest(all[:3]); len(shown) != 3 || left != 0 {
		t.Errorf("of three are shown %d, and %d left", len(shown), left)
	}
}
