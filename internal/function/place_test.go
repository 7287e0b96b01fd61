package function_test

import (
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

func TestPlaces(t *testing.T) {
	now := time.Date(2026, 11, 21, 15, 0, 0, 0, time.UTC)
	at := func(month time.Month, day, hour int) function.Place {
		return function.Place{Kind: function.PlaceTime, Time: time.Date(2026, month, day, hour, 0, 0, 0, time.UTC)}
	}
	for _, c := range []struct {
		text string
		want function.Place
		ok   bool
	}{
		{"earliest", function.Place{Kind: function.PlaceEarliest}, true},
		{"latest", function.Place{Kind: function.PlaceLatest}, true},
		{"0", function.Place{Kind: function.PlaceOffset}, true},
		{"1200", function.Place{Kind: function.PlaceOffset, Offset: 1200}, true},
		{"2026-11-20T13:00:00Z", at(11, 20, 13), true},
		{"2026-11-20T13:00:00.000Z", at(11, 20, 13), true},
		{"2026-11-20", at(11, 20, 0), true},
		{"2h", at(11, 21, 13), true},
		{"2d", at(11, 19, 15), true},
		{"-1", function.Place{}, false},
		{"-2h", function.Place{}, false},
		{"0s", function.Place{}, false},
		{"2026-11-31", function.Place{}, false},
		{"2026-11", function.Place{}, false},
		{"yesterday", function.Place{}, false},
		{"beginning", function.Place{}, false},
		{"Latest", function.Place{}, false},
		{"", function.Place{}, false},
		{"9223372036854775808", function.Place{}, false},
	} {
		got, ok := function.ParsePlace(c.text, now)
		if ok != c.ok || ok && (got.Kind != c.want.Kind || got.Offset != c.want.Offset || !got.Time.Equal(c.want.Time)) {
			t.Errorf("ParsePlace(%q) = %+v, %v, want %+v, %v", c.text, got, ok, c.want, c.ok)
		}
	}
}

func TestMoments(t *testing.T) {
	now := time.Date(2026, 11, 21, 15, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		text string
		want time.Time
		ok   bool
	}{
		{"earliest", time.Time{}, true},
		{"latest", now, true},
		{"1h", now.Add(-time.Hour), true},
		{"2026-11-21", now.Add(-15 * time.Hour), true},
		{"7", time.Time{}, false},
		{"soon", time.Time{}, false},
	} {
		if got, ok := function.ParseMoment(c.text, now); ok != c.ok || ok && !got.Equal(c.want) {
			t.Errorf("ParseMoment(%q) = %v, %v, want %v, %v", c.text, got, ok, c.want, c.ok)
		}
	}
}

func FuzzPlace(f *testing.F) {
	for _, s := range []string{"earliest", "12", "2026-01-31", "2026-01-31T15:04:05Z", "15m", "1.5d", "-1", ""} {
		f.Add(s)
	}
	now := time.Date(2026, 11, 21, 15, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		p, ok := function.ParsePlace(text, now)
		if ok && p.Offset < 0 {
			t.Errorf("ParsePlace(%q) = %+v, want no negative offset", text, p)
		}
		at, moment := function.ParseMoment(text, now)
		if want := ok && p.Kind != function.PlaceOffset; moment != want {
			t.Errorf("ParseMoment(%q) = %v, %v, want ok %v as ParsePlace says", text, at, moment, want)
		}
	})
}
