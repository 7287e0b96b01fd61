package shadow

import (
	"errors"
	"io"

	"github.com/dalamb/dalamb/internal/function"
)

// errEnough ends an answer that is longer than anything that it could be the same as.
var errEnough = errors.New("the answer is longer than it may be")

// tap takes a streamed answer, of which it keeps as much as was kept of the live one. It is a function.Responder.
type tap struct {
	keep  int
	size  int64
	body  []byte
	begun bool
}

func newTap(keep int) *tap { return &tap{keep: keep} }

// maxStreamed bounds a streamed answer of a copy: a live one ends with its client, this has none.
const maxStreamed = 64 << 20

func (t *tap) Respond(function.Head) (io.Writer, error) {
	t.begun = true
	return t, nil
}

// Gone is never closed: Write says when it is enough.
func (t *tap) Gone() <-chan struct{} { return nil }

func (t *tap) Write(p []byte) (int, error) {
	if room := t.keep - len(t.body); room > 0 {
		t.body = append(t.body, p[:min(room, len(p))]...)
	}
	if t.size += int64(len(p)); t.size > maxStreamed {
		return 0, errEnough
	}
	return len(p), nil
}
