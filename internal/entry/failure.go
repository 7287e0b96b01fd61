package entry

import (
	"encoding/json"
	"strings"

	"github.com/dalamb/dalamb/internal/function"
)

// Bounds of what is kept of a function's own words about a failure, in bytes.
const (
	maxMessage = 8 << 10
	maxTrace   = 16 << 10
	maxType    = 256
)

// failed is the result of an error that a lambda posted: {"errorType", "errorMessage", "stackTrace"} as AWS has it, and
// "retry": false when trying again is no use. A body in another form is the message.
func failed(body []byte, typ string) *function.Result {
	r := &function.Result{Outcome: function.Failed, Status: statusBadGateway, Body: body}
	r.Failure, r.NoRetry = parseFailure(body, typ)
	return r
}

// posted is the shape of a failure in a function's own words.
type posted struct {
	Type    json.RawMessage `json:"errorType"`
	Message json.RawMessage `json:"errorMessage"`
	Trace   json.RawMessage `json:"stackTrace"`
	Retry   json.RawMessage `json:"retry"`
}

// readPosted says whether the body has that shape.
func readPosted(body []byte) (p posted, ok bool) {
	err := json.Unmarshal(body, &p)
	return p, err == nil && (p.Type != nil || p.Message != nil)
}

func parseFailure(body []byte, typ string) (f *function.Failure, noRetry bool) {
	posted, ok := readPosted(body)
	f = &function.Failure{Type: cut(typ, maxType)}
	if !ok {
		f.Message = cut(text(body), maxMessage)
	} else {
		f.Message = cut(text(posted.Message), maxMessage)
	}
	if t := text(posted.Type); t != "" {
		f.Type = cut(t, maxType)
	}
	if f.Type == "" {
		f.Type = "Unhandled" // AWS's word for it
	}
	if f.Message == "" {
		f.Message = "the function reported an error without a message"
	}
	f.Trace = boundTrace(posted.Trace)
	return f, string(posted.Retry) == "false"
}

// text is a JSON string's value, or any other text as it is.
func text(raw []byte) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return strings.ToValidUTF8(strings.TrimSpace(string(raw)), "\uFFFD")
}

func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "..."
}

// boundTrace drops frames from the end of a trace until it is small enough.
func boundTrace(raw json.RawMessage) json.RawMessage {
	if len(raw) <= maxTrace {
		if string(raw) == "null" {
			return nil
		}
		return raw
	}
	var frames []json.RawMessage
	if json.Unmarshal(raw, &frames) != nil {
		return nil
	}
	size := len(`[]`)
	for i, frame := range frames {
		if size += len(frame) + len(`,`); size > maxTrace {
			frames = frames[:i]
			break
		}
	}
	small, err := json.Marshal(frames)
	if err != nil {
		return nil
	}
	return small
}
