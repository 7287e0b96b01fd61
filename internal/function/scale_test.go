package function

import (
	"strings"
	"testing"
	"time"
)

func TestHowManyInstancesAreKept(t *testing.T) {
	s := Scale{Min: 1, Schedule: []Window{
		{Start: "0 8 * * 1-5", For: seconds(10 * 3600), Min: 4, Timezone: "Europe/Berlin"},
		{Start: "30 9 * * *", For: seconds(1800), Min: 2},
	}}
	at := func(text string) time.Time {
		when, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	made := at("2026-01-01T00:00:00Z")
	for now, want := range map[string]struct {
		least int
		until string
	}{
		"2026-03-02T06:59:59Z": {1, "2026-03-02T07:00:00Z"}, // a Monday
		"2026-03-02T07:00:00Z": {4, "2026-03-02T09:30:00Z"},
		"2026-03-02T09:45:00Z": {4, "2026-03-02T10:00:00Z"},
		"2026-03-02T16:59:59Z": {4, "2026-03-02T17:00:00Z"},
		"2026-03-02T17:00:00Z": {1, "2026-03-03T07:00:00Z"},
		"2026-03-07T09:45:00Z": {2, "2026-03-07T10:00:00Z"}, // a Saturday
	} {
		least, until := s.MinAt(made, at(now))
		if least != want.least || !until.Equal(at(want.until)) {
			t.Errorf("MinAt(%s) = %d until %v, want %d until %s", now, least, until, want.least, want.until)
		}
	}
	if least, _ := s.MinAt(at("2026-03-02T12:00:00Z"), at("2026-03-02T12:00:00Z")); least != 4 {
		t.Errorf("a version that is made in a window keeps %d, want 4", least)
	}
	if least, until := (&Scale{Min: 3}).MinAt(made, made); least != 3 || !until.IsZero() {
		t.Errorf("MinAt without windows = %d until %v, want 3 for ever", least, until)
	}
}

func TestScalesThatCannotBe(t *testing.T) {
	for scale, want := range map[string]string{
		"{min: 11}":                "scale.min",
		"{reserved: 11}":           "scale.reserved",
		"{reserved: -1}":           "scale.reserved",
		"{target: 2}":              "only an http entry takes more than one",
		"{freeze: -1s}":            "scale.freeze",
		"{schedule: [{start: x}]}": "scale.schedule[0].start",
		"{schedule: [{start: '0 8 * * *', for: 0s, min: 1}]}":                      "scale.schedule[0].for",
		"{schedule: [{start: '0 8 * * *', for: 1h, min: 11}]}":                     "scale.schedule[0].min",
		"{schedule: [{start: '0 8 * * *', for: 1h, min: 1, timezone: Moon/Base}]}": "scale.schedule[0].timezone",
		"{schedule: [{start: '0 8 * * *', until: 1h}]}":                            "until",
	} {
		_, err := ParseManifest("dalamb.yaml", []byte("name: pay\nentry: {type: lambda, command: [./a]}\nscale: "+scale+"\n"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("scale %s: %v, want an error with %q", scale, err, want)
		}
	}
}

func TestHealthThatCannotBe(t *testing.T) {
	for health, want := range map[string]string{
		"{path: well}":                   "health.path",
		"{every: 1s}":                    "health.path",
		"{path: /well, every: 1ms}":      "health.every",
		"{path: /well, failures: 0}":     "health.failures",
		"{path: /well, grace: -1s}":      "health.grace",
		"{path: '/well you', every: 1s}": "health.path",
		"{path: /well, often: yes}":      "often",
	} {
		_, err := ParseManifest("dalamb.yaml", []byte("name: web\nentry: {type: http, command: [./a]}\nhealth: "+health+"\n"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("health %s: %v, want an error with %q", health, err, want)
		}
	}
	_, err := ParseManifest("dalamb.yaml", []byte("name: pay\nentry: {type: lambda, command: [./a]}\nhealth: {path: /well}\n"))
	if err == nil || !strings.Contains(err.Error(), "only an http entry") {
		t.Errorf("health of a lambda: %v, want it refused", err)
	}
	m, err := ParseManifest("dalamb.yaml", []byte("name: web\nentry: {type: http, command: [./a]}\nhealth: {path: /well}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := *m.Functions[0].Spec.Health, (Health{Path: "/well", Every: seconds(10), Failures: 3}); got != want {
		t.Errorf("health = %+v, want %+v", got, want)
	}
}
