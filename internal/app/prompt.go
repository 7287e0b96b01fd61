package app

import (
	"net/http"
	"time"
)

// takePatience is how long a client of the control listener may take nothing of an answer.
const takePatience = time.Minute

// prompt gives up a client that takes nothing of its answer: else what makes the answer waits for ever, with all that it holds. Each piece has a
// time of its own, so that an answer may be long, and may follow what happens for days.
func prompt(h http.Handler, patience time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := &pieces{ResponseWriter: w, control: http.NewResponseController(w), patience: patience, streams: r.ProtoMajor > 1}
		if !p.streams {
			p.begin() // of "100 Continue": that of the connection's last answer may be over
		}
		h.ServeHTTP(p, r)
		p.begin() // of what net/http has still to send
	})
}

type pieces struct {
	http.ResponseWriter
	control  *http.ResponseController
	patience time.Duration
	streams  bool // by HTTP/2, which ends a stream at its deadline although nobody writes
}

func (p *pieces) begin() {
	_ = p.control.SetWriteDeadline(time.Now().Add(p.patience)) // what cannot have deadlines is not slow
}

func (p *pieces) end() {
	if p.streams {
		_ = p.control.SetWriteDeadline(time.Time{}) // there was none
	}
}

func (p *pieces) Write(b []byte) (int, error) {
	p.begin()
	defer p.end()
	return p.ResponseWriter.Write(b)
}

// FlushError is for http.ResponseController.
func (p *pieces) FlushError() error {
	p.begin()
	defer p.end()
	return p.control.Flush()
}

// Unwrap is for http.ResponseController.
func (p *pieces) Unwrap() http.ResponseWriter { return p.ResponseWriter }
