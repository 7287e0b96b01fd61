package shadow

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/function"
)

// A function can see that it runs a copy, and leave out what must not happen twice. How it is told depends on what it gets.

func markedEvent(e *event.Event) *event.Event {
	marked := e.Clone()
	if marked.SetExtension(event.ExtShadow, true) != nil {
		return e
	}
	return marked
}

// markedRequest is a request with the same body, which does not end when its client goes away.
func markedRequest(r *http.Request, body []byte) *http.Request {
	marked := r.WithContext(context.Background())
	marked.Header = maps.Clone(r.Header)
	if marked.Header == nil {
		marked.Header = http.Header{}
	}
	marked.Header[function.ShadowHeader] = []string{"true"}
	marked.Body, marked.ContentLength, marked.TransferEncoding = http.NoBody, int64(len(body)), nil
	if len(body) > 0 {
		marked.Body = io.NopCloser(bytes.NewReader(body))
	}
	return marked
}

// markedContext is a client context whose custom part has the mark, as base64; one that cannot be read is left as it is.
func markedContext(encoded string) string {
	fields := map[string]json.RawMessage{}
	if encoded != "" {
		raw, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil || json.Unmarshal(raw, &fields) != nil || fields == nil {
			return encoded
		}
	}
	custom := map[string]json.RawMessage{}
	if text, ok := fields["custom"]; ok && (json.Unmarshal(text, &custom) != nil || custom == nil) {
		return encoded
	}
	custom[event.ExtShadow] = json.RawMessage(`"true"`)
	var err error
	if fields["custom"], err = json.Marshal(custom); err != nil {
		return encoded
	}
	text, err := json.Marshal(fields)
	if err != nil {
		return encoded
	}
	return base64.StdEncoding.EncodeToString(text)
}
