package console

import (
	"testing"
	"time"
)

func TestATimeOfTheDayIsTheLastOne(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 30, 0, 0, time.FixedZone("east", 2*3600)) // 10:30 in UTC
	for text, want := range map[string]time.Time{
		"10:29":    time.Date(2026, 5, 1, 10, 29, 0, 0, time.UTC),
		"10:30":    time.Date(2026, 5, 1, 10, 30, 0, 0, time.UTC),
		"10:31":    time.Date(2026, 4, 30, 10, 31, 0, 0, time.UTC),
		"10:30:01": time.Date(2026, 4, 30, 10, 30, 1, 0, time.UTC),
		"1h":       now.Add(-time.Hour),
	} {
		if got, ok := timeOf(text, now); !ok || !got.Equal(want) {
			t.Errorf("timeOf(%q) = %v, %v; want %v", text, got, ok, want)
		}
	}
	for _, text := range []string{"25:00", "10:6", "noon", ""} {
		if got, ok := timeOf(text, now); ok {
			t.Errorf("timeOf(%q) = %v, want it refused", text, got)
		}
	}
	if got := unclocked("10:31", now); got != "2026-04-30T10:31:00Z" {
		t.Errorf("unclocked = %q", got)
	}
	if got := unclocked("earliest", now); got != "earliest" {
		t.Errorf("unclocked = %q, want it as it is", got)
	}
}
