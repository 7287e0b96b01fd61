package aws

import (
	"errors"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/match"
	"github.com/dalamb/dalamb/internal/payload"
)

// sampleEvents differ in all that a pattern can name.
func sampleEvents(t testing.TB) []*event.Event {
	t.Helper()
	var events []*event.Event
	for _, resources := range [][]string{nil, {"arn:a"}, {"arn:b"}, {"arn:a", "arn:b"}, {"x", "arn:ab"}, {"a*", `b`}, {"a,b", "[c]"}, {"x\u2028y", "z"}} {
		for _, e := range []*event.Event{
			{ID: "1", Source: "shop", Type: "order.paid", Data: []byte(`{"n":1,"city":"Bonn"}`)},
			{ID: "2", Source: "bank", Type: "order.paid", Data: []byte(`{"n":[1,7]}`)},
			{ID: "3", Source: "shop", Type: "other", Data: []byte(`{}`)},
		} {
			e.DataContentType = "application/json"
			if err := e.SetResources(resources); err != nil {
				t.Fatal(err)
			}
			events = append(events, e)
		}
	}
	return events
}

// asGiven is an event as EventBridge gives it.
func asGiven(t testing.TB, e *event.Event) []byte {
	t.Helper()
	given, _, err := payload.Form{Payload: function.PayloadEventBridge}.Encode([]payload.Item{{Event: e}})
	if err != nil {
		t.Fatal(err)
	}
	return given
}

// FuzzAFilterMeansWhatItsPatternMeans holds the same of any pattern that is taken, but for what else an event has than what EventBridge knows of it: a time
// that is absent.
func FuzzAFilterMeansWhatItsPatternMeans(f *testing.F) {
	for _, text := range []string{
		`{"source":["shop"],"resources":["arn:a",{"suffix":"b"}]}`, `{"$or":[{"source":["bank"]},{"resources":["arn:a"]}],"resources":[{"prefix":"x"}]}`,
		`{"detail":{"n":[{"numeric":[">",1]}]},"detail.city":[null]}`, `{"resources":[","]}`, `{"resources":[{"suffix":"]"},{"prefix":",["}]}`, `{"account":[{"prefix":"0"}],"$or":[{"id":["1"]},{"$or":[{"detail-type":["other"]},{"version":["0"]}]}]}`,
	} {
		f.Add(text)
	}
	b := &EventBridge{l: &Lambda{o: Options{Region: function.AWSRegion}}}
	events := sampleEvents(f)
	f.Fuzz(func(t *testing.T, text string) {
		filter, err := b.filterOf(text)
		if err != nil || strings.Contains(text, "time") {
			return
		}
		pattern, err := match.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		compiled, err := match.Parse(filter)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if want, err := pattern.MatchJSON(asGiven(t, e)); err != nil || compiled.MatchEvent(e) != want {
				t.Errorf("%s as %s says of %s not %v, %v", text, filter, asGiven(t, e), want, err)
			}
		}
	})
}

// TestAFilterMeansWhatItsPatternMeans holds what a filter says of an event against what the pattern says of the same event as the function gets it.
func TestAFilterMeansWhatItsPatternMeans(t *testing.T) {
	b := &EventBridge{l: &Lambda{o: Options{Region: function.AWSRegion}}}
	events := sampleEvents(t)
	for _, text := range []string{
		`{"source":["shop"]}`,
		`{"source":[{"anything-but":"shop"}],"detail-type":["order.paid"]}`,
		`{"detail":{"n":[7]}}`,
		`{"detail.city":["Bonn"]}`,
		`{"detail":{"city":[{"exists":false}]}}`,
		`{"resources":["arn:a"]}`,
		`{"resources":["arn:b",{"prefix":"x"}]}`,
		`{"resources":[{"suffix":"b"}]}`,
		`{"resources":[{"prefix":"b"}]}`,
		`{"resources":[{"exactly":"a*"}]}`,
		`{"resources":["a,b"]}`,
		`{"resources":[{"prefix":"[c"},{"suffix":",b"}]}`,
		"{\"resources\":[\"x\u2028y\"]}",
		`{"resources":[{"prefix":"x\u2028"}]}`,
		`{"resources":[{"exists":true}],"source":["bank"]}`,
		`{"account":["000000000000"],"region":[{"prefix":"us-"}],"version":["0"],"source":["bank"]}`,
		`{"account":["000000000000"]}`,
		`{"$or":[{"source":["bank"]},{"detail":{"city":["Bonn"]}}]}`,
		`{"$or":[{"source":["bank"]},{"resources":["arn:a"]}],"detail-type":["order.paid"]}`,
		`{"$or":[{"source":["bank"]},{"detail":{"city":["Bonn"]}}],"resources":["arn:a"]}`,
		`{"$or":[{"source":["bank"]},{"region":["us-east-1"]}]}`,
		`{"id":["2"]}`,
	} {
		filter, err := b.filterOf(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		pattern, err := match.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		compiled, err := match.Parse(filter)
		if err != nil {
			t.Fatalf("%s is %s: %v", text, filter, err)
		}
		matched := 0
		for _, e := range events {
			given := asGiven(t, e)
			want, err := pattern.MatchJSON(given)
			if got := compiled.MatchEvent(e); err != nil || got != want {
				t.Errorf("%s as %s says %v of %s, want %v, %v", text, filter, got, given, want, err)
			}
			if want {
				matched++
			}
		}
		if matched == 0 {
			t.Errorf("%s matches nothing of the test", text)
		}
	}
	for _, text := range []string{
		`{"resources":[{"wildcard":"arn:*"}]}`, `{"resources":[{"anything-but":"a"}]}`, `{"resources":[{"exists":false}]}`, `{"resources":["a\"b"]}`, `{"resources":[null]}`,
		`{"resources":[","]}`, `{"resources":[{"exactly":","}]}`, `{"resources":[{"prefix":","}]}`, `{"resources":[{"suffix":","}]}`, `{"resources":[{"prefix":"]"}]}`, `{"resources":[{"suffix":"["}]}`,
		`{"resources":[" , "]}`,
		`{"replay-name":[{"exists":false}]}`, `{"$or":["a"]}`, `{"$or":[{"colour":["red"]},{"source":["a"]}]}`, `{"region":["eu-west-1"]}`,
	} {
		filter, err := b.filterOf(text)
		if r, ok := errors.AsType[*refusal](err); !ok || r.typ != "InvalidEventPatternException" {
			t.Errorf("%s is %s, %v", text, filter, err)
		}
	}
}

func TestScheduleExpressions(t *testing.T) {
	for text, want := range map[string]string{
		"rate(1 minute)":              "@every 1m",
		"rate(5 minutes)":             "@every 5m",
		"rate(2 days)":                "@every 48h",
		"cron(0 10 * * ? *)":          "0 10 * * *",
		"cron(15 12 ? * 2-6 *)":       "15 12 * * 1-5",
		"cron(0 18 ? * MON-FRI *)":    "0 18 * * MON-FRI",
		"cron(0/15 8-17 ? * 1,7 *)":   "0/15 8-17 * * 0,6",
		"cron(0 9 ? * 2/2 *)":         "0 9 * * 1-6/2",
		"cron(0 8 1 JAN,JUL ? *)":     "0 8 1 JAN,JUL *",
		"cron( 0 8 ? * * * )":         "0 8 * * *",
		"rate(1 minutes)":             "",
		"rate(2 minute)":              "",
		"rate(0 minutes)":             "",
		"rate(5 weeks)":               "",
		"cron(0 10 * * ? 2030)":       "",
		"cron(0 10 * * * *)":          "",
		"cron(0 10 ? * ? *)":          "",
		"cron(0 10 L * ? *)":          "",
		"cron(0 10 ? * 6L *)":         "",
		"cron(0 10 ? * 2#1 *)":        "",
		"cron(0 10 15W * ? *)":        "",
		"cron(0 10 30 FEB ? *)":       "",
		"cron(0 10 * * ?)":            "",
		"at(2030-01-01T00:00:00)":     "",
		"rate(99999999999999 minutes": "",
		"":                            "",
	} {
		got, err := scheduleOf(text)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q = %q, %v, want %q", text, got, err, want)
		}
	}
}
