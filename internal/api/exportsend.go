package api

import (
	"net/http"
	"os"
	"time"
)

// maxExports is how many bundles are made and sent at a time: each is held in memory, but for code and images, until the last of it is sent.
const maxExports = 4

// Bounds of who takes a bundle, so that he holds its place no longer than its bytes need.
const (
	exportStall = time.Minute // how far he may be behind exportRate, and so how long he may take nothing
	exportRate  = 256 << 10   // bytes a second
	exportPiece = 64 << 10    // bytes that are sent by one deadline
)

// begun is an answer of which something was sent, or nothing yet.
type begun struct {
	w   http.ResponseWriter
	c   *http.ResponseController
	yes bool

	stall time.Duration // how far he who takes it may be behind
	late  time.Duration // how far he is; not below zero: who was fast may be no slower later
}

func (b *begun) Write(p []byte) (n int, err error) {
	if !b.yes {
		b.yes = true
		b.w.Header().Set("Content-Type", "application/x-tar")
	}
	for len(p) > 0 && err == nil {
		if b.late >= b.stall {
			return n, os.ErrDeadlineExceeded
		}
		began := time.Now()
		_ = b.c.SetWriteDeadline(began.Add(b.stall - b.late)) // what cannot have deadlines is not slow
		var sent int
		sent, err = b.w.Write(p[:min(len(p), exportPiece)])
		b.late = max(0, b.late+time.Since(began)-time.Duration(sent)*time.Second/exportRate)
		n, p = n+sent, p[sent:]
	}
	return n, err
}

// end gives the connection back as it was: the next request on it is none of an export's business.
func (b *begun) end() { _ = b.c.SetWriteDeadline(time.Time{}) }
