package api

import (
	"encoding/base64"
	"encoding/json"

	"github.com/dalamb/dalamb/internal/event"
)

// unmarked is a client context, as base64, without the mark of a copy: a function that sees it leaves out what must not happen twice, and nobody but
// dalamb may tell it so. What is no JSON object reaches no function, or has no place for the mark.
func unmarked(encoded string) string {
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return encoded
	}
	var fields, custom map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil || fields["custom"] == nil || json.Unmarshal(fields["custom"], &custom) != nil {
		return encoded
	}
	delete(custom, event.ExtShadow)
	// Written anew whether the mark was found or not: a key that is there twice is one to one reader, and both to another.
	if fields["custom"], err = json.Marshal(custom); err != nil {
		return encoded
	}
	text, err := json.Marshal(fields)
	if err != nil {
		return encoded
	}
	return base64.StdEncoding.EncodeToString(text)
}
