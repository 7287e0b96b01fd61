package api

import (
	"net/http"
	"time"
)

// maxExports is how many bundles are made and sent at a time: each is held in memory, but for code and images, until the last of it is sent.
const maxExports = 4

// exportStall is how long who takes a bundle may take nothing of it. However slow he is beyond that, he gets all of it.
const exportStall = time.Minute

// exportPiece is what is sent by one such deadline, in bytes.
const exportPiece = 64 << 10

// begun is an answer of which something was sent, or nothing yet.
type begun struct {
	w   http.ResponseWriter
	c   *http.ResponseController
	yes bool

	stall time.Duration // how long he who takes it may take nothing
}

func (b *begun) Write(p []byte) (n int, err error) {
	if !b.yes {
		b.yes = true
		b.w.Header().Set("Content-Type", "application/x-tar")
	}
	for len(p) > 0 && err == nil {
		_ = b.c.SetWriteDeadline(time.Now().Add(b.stall)) // what cannot have deadlines is not slow
		var sent int
		sent, err = b.w.Write(p[:min(len(p), exportPiece)])
		n, p = n+sent, p[sent:]
	}
	return n, err
}

// end gives the connection back as it was: the next request on it is none of an export's business.
func (b *begun) end() { _ = b.c.SetWriteDeadline(time.Time{}) }
