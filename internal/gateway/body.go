package gateway

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// budget bounds the memory of all bodies that are held at a time.
type budget struct {
	most int64
	used atomic.Int64
}

func (b *budget) take(n int64) bool {
	if b.used.Add(n) <= b.most {
		return true
	}
	b.used.Add(-n)
	return false
}

func (b *budget) give(n int64) { b.used.Add(-n) }

// holding is the body of a request, for all attempts of its call: the last of them that ends frees it.
type holding struct {
	users  atomic.Int32
	budget *budget
	bytes  int64
	upload *upload // nil = it is in memory
}

// hold makes the body that was received the call's. free is the caller's part in it.
func (c *Call) hold(h *holding) (free func()) {
	h.keep()
	c.held = h
	return h.free
}

func (h *holding) keep() {
	if h != nil {
		h.users.Add(1)
	}
}

func (h *holding) free() {
	if h == nil || h.users.Add(-1) > 0 {
		return
	}
	h.budget.give(h.bytes)
	if h.upload != nil {
		h.upload.finish()
	}
}

// nothingHeld is the free of a call that has no part in its body.
func nothingHeld() {}

// firstRead is how much memory a body gets before any of it has come: a client that announces much and sends nothing holds
// no more.
const firstRead = 32 << 10

// errSlow is the answer to a client that does not finish its body in time.
var errSlow = fault.New(fault.Timeout, "the request's body took too long to arrive")

// read reads a body of at most limit bytes into memory. The caller gives held back to the budget when it is done with the
// body, also after an error. what names the thing that is limited.
func (g *Gateway) read(w http.ResponseWriter, r *http.Request, limit int64, what string) (body []byte, held int64, err error) {
	return g.readInto(w, r, room{limit, what, g.held.take})
}

// room is what a body may take: limit bytes, which are taken step by step.
type room struct {
	limit int64
	what  string
	take  func(n int64) bool
}

// readInto is read where the budget is not the only bound.
func (g *Gateway) readInto(w http.ResponseWriter, r *http.Request, to room) (body []byte, held int64, err error) {
	size, limit, what := r.ContentLength, to.limit, to.what
	switch {
	case size == 0 || r.Body == nil || r.Body == http.NoBody:
		return nil, 0, nil
	case size > limit:
		return nil, 0, tooLarge(what, limit)
	case size < 0:
		size = 4 << 10 // not announced
	}
	defer func() {
		if err == nil {
			_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // what cannot have deadlines has none
		}
	}()
	for more := min(size, firstRead); ; more = min(int64(cap(body)), limit+1-int64(cap(body))) {
		if !to.take(more) {
			return nil, held, fault.New(fault.Exhausted, "the gateway holds as many request bodies as it may").WithHint("send it again in a moment")
		}
		held += more
		grown := make([]byte, len(body), int64(cap(body))+more)
		copy(grown, body)
		body = grown
		for len(body) < cap(body) {
			n, err := r.Body.Read(body[len(body):cap(body)])
			body = body[:len(body)+n]
			switch {
			case int64(len(body)) > limit:
				return nil, held, tooLarge(what, limit)
			case err == io.EOF:
				return body, held, nil
			case errors.Is(err, os.ErrDeadlineExceeded):
				return nil, held, errSlow
			case err != nil:
				return nil, held, unread(err)
			}
		}
		if int64(len(body)) == r.ContentLength {
			return body, held, nil
		}
	}
}

func tooLarge(what string, limit int64) error {
	return fault.New(fault.TooLarge, "%s is larger than the limit of %d bytes (%s)", what, limit, function.Bytes(limit))
}

// memory is a body that has been read. All gives its bytes without a copy; they must not be changed.
type memory struct {
	bytes.Reader
	all []byte
}

func newMemory(b []byte) io.ReadCloser {
	if len(b) == 0 {
		return http.NoBody
	}
	m := &memory{all: b}
	m.Reset(b)
	return m
}

// All returns the whole body, whatever has been read of it.
func (m *memory) All() []byte { return m.all }

// Close does nothing: the memory is the gateway's.
func (m *memory) Close() error { return nil }
