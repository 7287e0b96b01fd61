package function

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// LogLine is the data of a log.written event in _dalamb.logs, keyed by function.
type LogLine struct {
	Time     time.Time `json:"time"`
	Function string    `json:"function"`
	Version  int       `json:"version"`
	Instance string    `json:"instance"`
	Run      string    `json:"run,omitempty"` // "" for a line written outside an invocation
	Stream   string    `json:"stream"`        // stdout or stderr
	Text     string    `json:"text"`
	Dropped  int       `json:"dropped,omitempty"` // lines lost before this one because there were too many
}

// Says is true of a line that is at least so serious, and has the text in it, in capitals or not; "" is true of every line.
func (l *LogLine) Says(least LogLevel, text string) bool {
	return (text == "" || strings.Contains(strings.ToLower(l.Text), strings.ToLower(text))) && (least == "" || l.Read().Level.AtLeast(least))
}

// LogText is what the text of a line says.
type LogText struct {
	Level   LogLevel // info where the text says none
	Message string   // of a line of JSON; else the whole text
	Fields  []LogField
}

// LogField is one of the other fields of a line of JSON, which come by name.
type LogField struct {
	Name  string
	Value json.RawMessage
}

// Read takes the text of a line apart: an object of JSON as loggers write it, or plain text that may begin with a level or have level=... in it.
// Where the text has no message it is one itself.
func (l *LogLine) Read() LogText {
	if strings.HasPrefix(l.Text, "{") {
		if t, ok := readObject(l.Text); ok {
			return t
		}
	}
	return LogText{Level: plainLevel(l.Text), Message: l.Text}
}

// Names of what loggers write: slog, zap, logrus, zerolog, pino, bunyan, winston, structlog, log4j, AWS's and Google's runtimes, the Elastic Common Schema.
func messageNames() []string { return []string{"message", "msg", "event", "@message"} }
func levelNames() []string {
	return []string{"level", "severity", "lvl", "log.level", "levelname", "@level"}
}
func timeNames() []string {
	return []string{"time", "ts", "timestamp", "@timestamp"}
}

func readObject(text string) (LogText, bool) {
	var all map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &all) != nil {
		return LogText{}, false
	}
	t := LogText{Level: LogInfo, Message: text}
	for _, name := range levelNames() {
		if level, ok := ParseLogLevel(strings.Trim(string(all[name]), `"`)); ok {
			t.Level = level
			delete(all, name)
			break
		}
	}
	for _, name := range messageNames() {
		var s string
		if raw, ok := all[name]; ok && json.Unmarshal(raw, &s) == nil {
			t.Message = s
			delete(all, name)
			break
		}
	}
	for name, value := range all {
		if !slices.Contains(timeNames(), name) { // the line has its own
			t.Fields = append(t.Fields, LogField{name, value})
		}
	}
	slices.SortFunc(t.Fields, func(a, b LogField) int { return strings.Compare(a.Name, b.Name) })
	return t, true
}

// mostLooked bounds where in a plain line a level is looked for, in bytes.
const mostLooked = 200

// plainLevel finds the level of a plain line: level=... as logfmt has it, or one of its first words in capitals or brackets, as in "2026-01-02 ERROR x", "[warn] x".
func plainLevel(text string) LogLevel {
	head := text[:min(len(text), mostLooked)]
	for i, word := range strings.Fields(head) {
		if value, ok := strings.CutPrefix(word, "level="); ok {
			if level, ok := ParseLogLevel(strings.Trim(value, `"`)); ok {
				return level
			}
		}
		bare := strings.Trim(word, "[]():|-")
		marked := bare != word || bare == strings.ToUpper(bare)
		if level, ok := ParseLogLevel(bare); ok && marked && i < 4 && bare[0] > '9' {
			return level
		}
	}
	return LogInfo
}
