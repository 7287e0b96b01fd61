package function

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

func TestRulesOfAManifest(t *testing.T) {
	m := parse(t, minimal+`
async: {onFailure: {topic: failures}}
triggers:
  - concurrency: 5
    rate: 30/m
    effects: at-least-once
    onSuccess: {topic: done}
    onFailure: {function: alarm}
`)
	want := Rules{
		Concurrency: 5, Rate: Rate{Count: 30, Per: time.Minute}, Effects: EffectsAtLeastOnce,
		OnSuccess: &Destination{Topic: "done"}, OnFailure: &Destination{Function: "alarm"},
	}
	got := m.Functions[0].Spec
	if !reflect.DeepEqual(got.Triggers[0].Rules, want) || !reflect.DeepEqual(got.Async, &Async{OnFailure: &Destination{Topic: "failures"}}) {
		t.Errorf("rules = %+v, async = %+v, want %+v", got.Triggers[0].Rules, got.Async, want)
	}
	b, err := json.Marshal(got.Triggers[0])
	if err != nil {
		t.Fatal(err)
	}
	var again Trigger
	if err := json.Unmarshal(b, &again); err != nil || !reflect.DeepEqual(again.Rules, want) {
		t.Errorf("%s comes back as %+v, %v", b, again.Rules, err)
	}
}

func TestATriggerWithoutRulesIsTheVersionThatItWas(t *testing.T) {
	b, err := json.Marshal(Trigger{Name: "t", Topic: "events"})
	if err != nil || string(b) != `{"name":"t","topic":"events"}` {
		t.Errorf("%s, %v; a new field would make another version of every function", b, err)
	}
}

func TestRate(t *testing.T) {
	for text, want := range map[string]Rate{
		"100/s": {100, time.Second}, "30/m": {30, time.Minute}, "5/h": {5, time.Hour}, "1000000/s": {1000000, time.Second},
	} {
		var r Rate
		if err := r.UnmarshalText([]byte(text)); err != nil || r != want || r.String() != text {
			t.Errorf("%s = %+v, %v, want %+v", text, r, err, want)
		}
	}
	for _, text := range []string{"", "5", "/s", "5/", "5/d", "0/s", "-1/s", "1.5/s", "1000001/s", "5/s/s", "5 / s", "+/s"} {
		var r Rate
		if err := r.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken for %s", text, r)
		}
	}
}
