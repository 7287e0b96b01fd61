package eventlog

import (
	"context"

	"github.com/dalamb/dalamb/internal/event"
)

// Seal says whose payload a record repeats, so that it is sealed, and forgotten, with that one's: by the key that sealed it, or else by that of the
// event's key in its topic, where that topic is sealed.
type Seal struct {
	By    string // event.Event.Seal; "" = the two others say it
	Topic string
	Key   []byte
}

// SealedAs is the Seal of a record that repeats the data of an event that was read; nil for one that was not sealed.
func SealedAs(e *event.Event) *Seal {
	if e == nil || e.Seal == "" {
		return nil
	}
	return &Seal{By: e.Seal}
}

// Lost says that the value of a record that was read was sealed and can be opened no more. It is empty then, and not nil.
func (r *Record) Lost() bool {
	return r.Value != nil && len(r.Value) == 0 && event.SealIn(r.Headers) != ""
}

// Unsealed are the headers of a record that was read without what its log has said of the seal, for who stores them elsewhere.
func Unsealed(headers []Header) []Header {
	if event.SealIn(headers) == "" {
		return headers
	}
	return headers[: len(headers)-1 : len(headers)-1]
}

// Eraser is an optional ability of a Log that is files of this machine alone, found by assertion.
type Eraser interface {
	// Erase is Compacter.Compact, and takes what that removes out of the log's files, too: when it returns they have no copy of it. It rewrites the
	// files that the topic's records stand in. Files of checkpoints are not touched. Errors as Compact.
	Erase(ctx context.Context, topic string) error
}
