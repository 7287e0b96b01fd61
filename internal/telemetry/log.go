// Package telemetry owns how a node's log lines, metrics and traces are set up: format, level, registry, the page that shows it, and the way to a receiver.
// It does not decide what is logged or counted; each room does, through the logger and the registerer that it is given.
package telemetry

import (
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
)

// LogOptions say how log lines look. The zero value but for Writer is text, from level info on.
type LogOptions struct {
	Writer io.Writer
	Format string // "text" or "json"; "" = text
	Level  string // "debug", "info", "warn" or "error"; "" = info
	// Lever is set to Level, and moves it later; nil = it stays.
	Lever *slog.LevelVar
}

// Logger makes the node's logger. Invalid when the format or the level is not known.
func Logger(o LogOptions) (*slog.Logger, error) {
	level, err := Level(o.Level)
	if err != nil {
		return nil, err
	}
	ho := &slog.HandlerOptions{Level: level, ReplaceAttr: plainErrors}
	if o.Lever != nil {
		o.Lever.Set(level)
		ho.Level = o.Lever
	}
	switch o.Format {
	case "", "text":
		return slog.New(slog.NewTextHandler(o.Writer, ho)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(o.Writer, ho)), nil
	}
	return nil, fault.New(fault.Invalid, "log format %q is not known", o.Format).WithHint("use text or json")
}

// plainErrors has an error say what it says to everybody. The text handler would ask for all that it has, and some libraries' errors have the stack of the goroutine
// that made them.
func plainErrors(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() != slog.KindAny {
		return a
	}
	if err, is := a.Value.Any().(error); is {
		a.Value = slog.StringValue(said(err))
	}
	return a
}

// said is what an error says. One that cannot say anything, as a nil pointer in the place of an error, must not end the node that logs it: fmt says what is wrong with it.
func said(err error) (text string) {
	defer func() {
		if recover() != nil {
			text = fmt.Sprint(err)
		}
	}()
	return err.Error()
}

// Level reads the name of a level; "" is info.
func Level(name string) (slog.Level, error) {
	switch strings.ToLower(name) {
	case "debug":
		return slog.LevelDebug, nil
	case "", "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, fault.New(fault.Invalid, "log level %q is not known", name).WithHint("use debug, info, warn or error")
}
