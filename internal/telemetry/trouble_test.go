package telemetry

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestTroubleIsToldAtGrowingIntervals(t *testing.T) {
	var log bytes.Buffer
	o := OTLPOptions{Endpoint: "http://r:4317", Headers: map[string]string{"authorization": "Bearer s3cr3t-token"}, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	tr := o.trouble("traces")
	now := time.Unix(0, 0)
	tr.now = func() time.Time { return now }
	told := map[int]bool{}
	for minute := range 16 {
		before := log.Len()
		tr.note(errors.New("401: Bearer s3cr3t-token is not known " + strings.Repeat("x", 5000)))
		told[minute] = log.Len() > before
		now = now.Add(time.Minute)
	}
	for minute := range 16 {
		if want := minute == 0 || minute == 1 || minute == 3 || minute == 7 || minute == 15; told[minute] != want {
			t.Errorf("trouble after %d minutes told = %v, want %v", minute, told[minute], want)
		}
	}
	if strings.Contains(log.String(), "s3cr3t") || log.Len() > 5*1000 {
		t.Errorf("the log tells the secret, or too much:\n%s", log.String())
	}
	if got, want := tr.showable(errors.New("invalid token s3cr3t-token")), "invalid token [redacted]"; got != want {
		t.Errorf("showable = %q, want %q", got, want)
	}
	tr.note(nil)
	if !strings.Contains(log.String(), "takes them again") {
		t.Error("that it works again is not told")
	}
	log.Reset()
	if tr.note(nil); log.Len() > 0 {
		t.Errorf("that it works is told: %s", log.String())
	}
}
