package api

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// logFilter selects lines. Zero fields select all.
type logFilter struct {
	function, run string
	version       int
	level         function.LogLevel // the least
	text          string
	since, until  time.Time
	sees          func(fn string) bool // of whom the reader is told; nil = of all
}

func readLogFilter(q query) (logFilter, error) {
	f := logFilter{function: q.text("function"), run: q.text("run"), level: function.LogLevel(q.text("level")), text: q.text("text")}
	if f.level != "" && !slices.Contains(function.LogLevels(), string(f.level)) {
		return f, fault.New(fault.Invalid, "query parameter \"level\": %q is no level", fault.Clip(string(f.level))).WithHint("levels: %s", strings.Join(function.LogLevels(), ", "))
	}
	version, err := q.number("version", 0, 1, math.MaxInt32)
	if err != nil {
		return f, err
	}
	f.version = int(version)
	now := time.Now()
	if f.since, err = q.time("since", now); err != nil {
		return f, err
	}
	f.until, err = q.time("until", now)
	return f, err
}

// line is the line that a record holds, where it is wanted. What is cheap to look at comes first.
func (f *logFilter) line(r eventlog.Record) (function.LogLine, bool) {
	var line function.LogLine
	e, err := eventlog.ToEvent(r)
	if err != nil || e.Type != event.TypeLogWritten || json.Unmarshal(e.Data, &line) != nil {
		return line, false
	}
	switch {
	case f.sees != nil && !f.sees(line.Function), f.function != "" && line.Function != f.function, f.run != "" && line.Run != f.run, f.version != 0 && line.Version != f.version,
		line.Time.Before(f.since), !f.until.IsZero() && !line.Time.Before(f.until):
		return line, false
	}
	return line, line.Says(f.level, f.text)
}
