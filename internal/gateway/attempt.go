package gateway

import (
	"bufio"
	"errors"
	"maps"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// attempt is the ResponseWriter of one try to answer a request. What it says becomes the client's once its status and header were judged
// good, and from then on goes through as it comes; what was judged bad, or comes too late, is nobody's. So who runs an attempt can
// run another one, or answer in its place. It passes no interim answers on.
type attempt struct {
	to     *exchange
	own    exchange // of the attempt: what runs it is given this one
	header http.Header
	judge  judge
	whose  atomic.Int32
	broken bool // it ended in the midst of its answer

	mu        sync.Mutex // held while the client is written to, which may take long
	deadlines sync.Mutex // held while the time of a write is set
}

// judge says whether an answer may be the client's. It is asked once for each attempt, by the goroutine that runs it, when own.status,
// own.Header() and own.outcome are known and nothing else. nil takes every answer.
type judge func(own *exchange) bool

// Whose an attempt's answer is.
const (
	undecided int32 = iota
	passed          // the client's
	dropped         // nobody's
	handed          // the client's, with its connection
)

// errDropped tells who writes on that nobody takes it.
var errDropped = errors.New("the attempt was given up")

// newAttempt makes one whose answer begins with this header, a copy of which becomes its own.
func newAttempt(x *exchange, header http.Header, j judge) *attempt {
	a := &attempt{to: x, header: maps.Clone(header), judge: j}
	a.own = exchange{ResponseWriter: a, kind: x.kind, start: x.start, slow: x.slow, cors: x.cors}
	return a
}

// try runs next as an attempt, in this goroutine. Where the client has its answer, done says so. Else nothing has been answered:
// the attempt was dropped (the error is nil then), or has failed.
func (g *Gateway) try(x *exchange, c *Call, next handler, j judge) (done bool, err error) {
	free, err := g.receive(x, c)
	defer free()
	if err != nil {
		return false, err
	}
	a := newAttempt(x, x.Header(), j)
	err = a.run(c, next)
	return a.settle(err)
}

// run runs next until its end. A stream that breaks off panics, as net/http wants it, and that is for settle to go on with.
func (a *attempt) run(c *Call, next handler) (err error) {
	defer func() {
		if p := recover(); p == http.ErrAbortHandler {
			a.broken = true
		} else if p != nil {
			panic(p)
		}
	}()
	if err = next(&a.own, c); err == nil && a.own.status == 0 && a.whose.Load() == undecided {
		a.own.WriteHeader(http.StatusOK) // as net/http does
	}
	return err
}

// settle is called when the attempt has ended, and gives what came of it to who asked for it: see Gateway.try.
func (a *attempt) settle(err error) (bool, error) {
	done := a.whose.Load() == passed || a.whose.Load() == handed
	if done && a.broken {
		panic(http.ErrAbortHandler) // the client has a part of the answer, and must not take it for whole
	}
	a.to.among.Lock()
	defer a.to.among.Unlock()
	if done {
		maps.Copy(a.to.Header(), a.header) // trailers
		a.to.outcome = a.own.outcome
		return true, nil
	}
	if !a.to.begun {
		a.to.outcome = a.own.outcome
		if err != nil {
			maps.Copy(a.to.Header(), a.header)
		}
	}
	return false, err
}

// giveUp makes the attempt nobody's; false = it is the client's already.
func (a *attempt) giveUp() bool {
	return a.whose.CompareAndSwap(undecided, dropped) || a.whose.Load() == dropped
}

// cut ends an answer in its midst, after which the attempt does not touch the client any more. The handler has to break the connection off.
func (a *attempt) cut() {
	a.whose.Store(dropped)
	a.deadlines.Lock()
	_ = http.NewResponseController(a.to).SetWriteDeadline(time.Unix(1, 0)) // what cannot have deadlines is not slow
	a.deadlines.Unlock()
	a.mu.Lock() // whoever was writing has stopped
	defer a.mu.Unlock()
}

func (a *attempt) Header() http.Header { return a.header }

func (a *attempt) WriteHeader(status int) {
	if status < http.StatusOK {
		return
	}
	if !a.good() || !a.whose.CompareAndSwap(undecided, passed) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.whose.Load() != passed {
		return // cut before a word was said
	}
	a.take()
	a.to.WriteHeader(status)
}

// good asks the judge, once; who is found bad is nobody's.
func (a *attempt) good() bool {
	judge := a.judge
	a.judge = nil
	if judge == nil || judge(&a.own) {
		return true
	}
	a.giveUp()
	return false
}

// take makes what the attempt says of its answer the client's.
func (a *attempt) take() {
	a.to.among.Lock()
	defer a.to.among.Unlock()
	h := a.to.Header()
	clear(h)
	maps.Copy(h, a.header)
	a.to.outcome, a.to.substitute, a.to.own, a.to.begun = a.own.outcome, a.own.substitute, a.own.own, true
}

func (a *attempt) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.whose.Load() != passed {
		return 0, errDropped
	}
	return a.to.Write(p)
}

// FlushError is for http.ResponseController.
func (a *attempt) FlushError() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.whose.Load() != passed {
		return errDropped
	}
	return http.NewResponseController(a.to).Flush()
}

// Hijack is for http.ResponseController: the function takes an upgrade up, which is its answer. No time bounds what follows.
func (a *attempt) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	a.own.status = http.StatusSwitchingProtocols
	if !a.good() || !a.whose.CompareAndSwap(undecided, handed) {
		return nil, nil, errDropped
	}
	nc, buf, err := http.NewResponseController(a.to).Hijack()
	if err != nil {
		a.whose.Store(undecided)
		return nil, nil, err
	}
	a.to.among.Lock()
	defer a.to.among.Unlock()
	a.to.begun, a.to.status = true, http.StatusSwitchingProtocols
	return nc, buf, nil
}

// SetWriteDeadline is for http.ResponseController. The connection of a client that has been answered is none of an attempt's business.
func (a *attempt) SetWriteDeadline(t time.Time) error {
	a.deadlines.Lock()
	defer a.deadlines.Unlock()
	if a.whose.Load() != passed {
		return errDropped
	}
	return http.NewResponseController(a.to).SetWriteDeadline(t)
}
