package telemetry

import (
	"log/slog"
	"slices"
	"strings"
	"time"
)

// How long trouble is not told of again, at first and at most: each time twice as long.
const (
	troubleFirst = time.Minute
	troubleMost  = time.Hour
)

// troubleText is how much of an error is told, in bytes: a receiver may answer with a page.
const troubleText = 400

// secretPart is from how many bytes on a part of a header's value is a secret of its own; Bearer and its like are shorter.
const secretPart = 8

// trouble tells the log that a receiver takes nothing: once, and then at intervals that grow. OpenTelemetry's package sends one after another.
type trouble struct {
	logger  *slog.Logger
	signal  string
	to      string
	secrets []string
	now     func() time.Time

	since  time.Time // zero = it works
	again  time.Time
	pause  time.Duration
	failed int
}

func (o *OTLPOptions) trouble(signal string) *trouble {
	t := &trouble{logger: o.Logger, signal: signal, to: o.Endpoint, now: time.Now}
	if t.logger == nil {
		t.logger = slog.New(slog.DiscardHandler)
	}
	for _, v := range o.Headers {
		t.secrets = append(t.secrets, v)
		for _, part := range strings.Fields(v) { // a receiver may give back the token alone, without the scheme ahead of it
			if len(part) >= secretPart {
				t.secrets = append(t.secrets, part)
			}
		}
	}
	slices.SortFunc(t.secrets, func(a, b string) int { return len(b) - len(a) }) // a whole value ahead of its parts
	return t
}

// note takes what came of a sending.
func (t *trouble) note(err error) {
	now := t.now()
	switch {
	case err == nil && t.since.IsZero():
	case err == nil:
		t.logger.Info("the OTLP receiver takes them again", "signal", t.signal, "endpoint", t.to, "failed", t.failed)
		t.since, t.failed = time.Time{}, 0
	default:
		if t.failed++; t.since.IsZero() {
			t.since, t.again, t.pause = now, now, troubleFirst
		}
		if now.Before(t.again) {
			return
		}
		t.logger.Warn("the OTLP receiver takes nothing; functions go on without", "signal", t.signal, "endpoint", t.to, "failed", t.failed, "err", t.showable(err))
		t.again, t.pause = now.Add(t.pause), min(2*t.pause, troubleMost)
	}
}

// showable is what an error says, without the secrets that a receiver may have given back.
func (t *trouble) showable(err error) string {
	text := err.Error()
	for _, s := range t.secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, "[redacted]")
		}
	}
	return strings.ToValidUTF8(text[:min(len(text), troubleText)], "")
}
