package wire

import "encoding/json"

// PatternTry asks which events of a stretch of a topic a pattern matches.
type PatternTry struct {
	Pattern  json.RawMessage `json:"pattern"`
	Topic    string          `json:"topic,omitempty"`    // absent = the trigger's, else events
	From     string          `json:"from,omitempty"`     // earliest, a time, or how long ago; absent = earliest
	To       string          `json:"to,omitempty"`       // a time, or how long ago; absent = the end
	Function string          `json:"function,omitempty"` // with Trigger: compare with the rule of this trigger
	Trigger  string          `json:"trigger,omitempty"`
}

// PatternTried is what a pattern matches.
type PatternTried struct {
	Topic    string          `json:"topic"`
	Looked   int64           `json:"looked"`  // events of the stretch
	Matched  int64           `json:"matched"` // of them, by the pattern
	Sample   []EventAt       `json:"sample"`  // the first that match, at most 20
	Compared *PatternCompare `json:"compared,omitempty"`
}

// PatternCompare is the difference to the rule of a trigger.
type PatternCompare struct {
	Both          int64     `json:"both"`          // matched by the pattern and by the trigger's rule
	OnlyNew       int64     `json:"onlyNew"`       // by the pattern alone
	OnlyOld       int64     `json:"onlyOld"`       // by the trigger's rule alone
	OnlyNewSample []EventAt `json:"onlyNewSample"` // the first of them, at most 20
	OnlyOldSample []EventAt `json:"onlyOldSample"`
}
