package function

import (
	"slices"
	"strings"
)

// LogLevel is how serious a line of a function's log is.
type LogLevel string

// The levels, as they are stored and asked for.
const (
	LogTrace LogLevel = "trace"
	LogDebug LogLevel = "debug"
	LogInfo  LogLevel = "info"
	LogWarn  LogLevel = "warn"
	LogError LogLevel = "error"
	LogFatal LogLevel = "fatal"
)

// LogLevels are all levels, the least serious first.
func LogLevels() []string {
	return []string{string(LogTrace), string(LogDebug), string(LogInfo), string(LogWarn), string(LogError), string(LogFatal)}
}

// AtLeast says whether a level is as serious as another one. Every level is at least "".
func (l LogLevel) AtLeast(least LogLevel) bool {
	all := LogLevels()
	return slices.Index(all, string(l)) >= slices.Index(all, string(least))
}

// ParseLogLevel reads what libraries of several languages call their levels, in any case; or the numbers of pino and bunyan.
func ParseLogLevel(text string) (LogLevel, bool) {
	if len(text) > len("informational") {
		return "", false
	}
	switch strings.ToLower(text) {
	case "trace", "verbose", "10":
		return LogTrace, true
	case "debug", "20":
		return LogDebug, true
	case "info", "information", "informational", "notice", "30":
		return LogInfo, true
	case "warn", "warning", "40":
		return LogWarn, true
	case "error", "err", "severe", "50":
		return LogError, true
	case "fatal", "critical", "crit", "panic", "dpanic", "alert", "emerg", "emergency", "60":
		return LogFatal, true
	}
	return "", false
}
