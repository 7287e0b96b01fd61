package entry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// linesConn is a process that stays: it reads one JSON per line and answers each with one line of JSON, in order. What it
// says on stdout when it was not asked, or beyond an answer, puts it out of step: it is stopped, since the next line could be anything's.
type linesConn struct {
	*instance
	feed    *os.File // its stdin
	said    *lines
	stopped chan struct{}
	done    chan struct{}

	stopOnce sync.Once
	began    atomic.Bool // it got an invocation
}

func (e *Entries) startLines(ctx context.Context, s Start) (Conn, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make stdin of %s: %w", s.ID, err)
	}
	c := &linesConn{feed: write, said: &lines{most: e.MaxAnswer, broken: make(chan struct{})}, stopped: make(chan struct{}), done: make(chan struct{})}
	spec := e.spec(s)
	spec.Feed, spec.Stdout = read, c.said.write
	spec.Env = list(environ(s, e.Region))
	in, err := e.launch(ctx, launching{Start: s}, spec)
	if err != nil {
		read.Close() // where the runner did not come to it
		write.Close()
		return nil, err
	}
	c.instance = in
	go c.serve()
	return c, nil
}

// serve lives as long as the instance.
func (c *linesConn) serve() {
	select {
	case <-c.said.broken:
		if text := c.said.unasked(); text != nil {
			c.out.stream("stdout")(append(text, '\n'))
			c.out.stream("stderr")([]byte("dalamb: the line on stdout answers nothing, so this instance is stopped; stdout is for answers, stderr for the log\n"))
		}
		c.box.Stop(0)
	case <-c.box.Done():
	}
	c.feed.Close()
	c.out.finish()
	close(c.done)
}

func (c *linesConn) Done() <-chan struct{} { return c.done }

// settling is how long an interpreter may need until its program reads its first line, or fails: python3 with a dozen modules of its library took 0.6
// to 0.9 s on two busy cores, and a check of what the program was given comes after that.
const settling = 2 * time.Second

// Settles implements Silent: a process that waits for its first line looks like one that does not come to it.
func (c *linesConn) Settles() time.Duration { return settling }

func (c *linesConn) Stop(grace time.Duration) {
	c.stopOnce.Do(func() { close(c.stopped) })
	c.feed.Close() // a loop over its input ends by itself, before any signal
	timer := time.NewTimer(grace / 2)
	defer timer.Stop()
	select {
	case <-c.box.Done():
	case <-timer.C:
	}
	c.box.Stop(grace - grace/2)
	<-c.done
}

// Invoke implements Conn.
func (c *linesConn) Invoke(_ context.Context, inv *function.Invocation) (*function.Result, error) {
	t := clock{c.entries.Now, c.entries.Now()}
	line, err := c.line(inv, t.start)
	if err != nil {
		return nil, err
	}
	select {
	case <-c.said.broken:
		<-c.done // serve stops it
		return nil, ErrUndelivered
	default:
	}
	if c.began.Swap(true) {
		c.out.begin(inv)
	} else {
		c.out.beginFirst(inv) // it may be starting still: what it says of that explains how the run ends
	}
	end := deadline(inv, t.start.Add(c.timeout()), t.start)
	timer := time.NewTimer(end.Sub(t.start))
	defer timer.Stop()
	answer := c.said.ask(c.entries.most(inv))
	_ = c.feed.SetWriteDeadline(time.Now().Add(end.Sub(t.start))) // of one that is closed nothing is written either
	_, unsent := c.feed.Write(line)
	var r *function.Result
	select {
	case a := <-answer:
		r = c.result(inv, a)
	case <-c.done:
		select {
		case <-c.stopped:
			return nil, errStopped(c.start.ID)
		default:
		}
		select {
		case a := <-answer: // its last words
			r = c.result(inv, a)
		default:
			if unsent != nil { // without its end the line is none
				return nil, c.undelivered(inv)
			}
			r = c.ended()
		}
	case <-timer.C:
		r = timedOut(c.timeout())
	}
	r.MemoryKB = c.memoryKB()
	t.finish(r)
	c.hearOut(inv, r)
	return r, nil
}

// line is the invocation as one line of JSON. A request has the form that lambda functions get.
func (c *linesConn) line(inv *function.Invocation, now time.Time) ([]byte, error) {
	var doc []byte
	var err error
	if inv.Request != nil {
		doc, err = urlRequest(inv, c.start.Version.Function(), now)
	} else {
		doc, err = document(inv)
	}
	if err != nil {
		return nil, err
	}
	var line bytes.Buffer
	if err := json.Compact(&line, doc); err != nil {
		return nil, fmt.Errorf("encode invocation %s as a line: %w", inv.ID, err)
	}
	line.WriteByte('\n')
	return line.Bytes(), nil
}

func (c *linesConn) result(inv *function.Invocation, a spoken) *function.Result {
	name := c.start.Version.Function()
	switch {
	case errors.Is(a.err, errLongLine):
		return c.tooLarge(inv)
	case a.err != nil:
		return badAnswer("Function.ExtraOutput", "function %s answered with more than one line: a second one begins %q; stdout is for answers, stderr for the log", name, shown(a.rest))
	case !json.Valid(a.line):
		c.said.breakOff(nil)
		return badAnswer("Function.InvalidResponse", "function %s answered with a line that is not JSON: %q; stdout is for answers, stderr for the log", name, shown(a.line))
	}
	if _, is := readPosted(a.line); is {
		return failed(a.line, "")
	}
	if inv.Request != nil {
		return urlAnswer(a.line, http.Header{}, name)
	}
	return succeeded(a.line, name)
}

func shown(line []byte) string {
	return cut(strings.ToValidUTF8(string(line[:min(len(line), 200)]), "\uFFFD"), 80)
}

var (
	errLongLine  = errors.New("line too long")
	errExtraLine = errors.New("more than one line")
)

// spoken is a line of an answer, or why there is none.
type spoken struct {
	line, rest []byte
	err        error
}

// lines cuts what a process writes into answers. Out of step it takes nothing more.
type lines struct {
	most   int64         // bytes of a line; one that is longer puts it out of step
	broken chan struct{} // closed when it is out of step

	mu     sync.Mutex
	over   bool          // broken is closed
	asked  chan<- spoken // nil = nobody waits for a line
	room   int64         // bytes that who waits takes, at most most
	held   []byte        // the beginning of a line
	passed int64         // bytes of a line that is longer than was asked for, whose end has not come; 0 = there is none
	extra  []byte        // the line that nobody had asked for
}

// ask gives the next line, of at most room bytes.
func (l *lines) ask(room int64) <-chan spoken {
	answer := make(chan spoken, 1)
	l.mu.Lock()
	l.asked, l.room = answer, room
	l.mu.Unlock()
	return answer
}

// unasked is the line that nobody had asked for, nil when that is not why it is out of step.
func (l *lines) unasked() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.extra
}

// breakOff puts it out of step; extra is the line that did.
func (l *lines) breakOff(extra []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end(extra)
}

func (l *lines) end(extra []byte) {
	if !l.over {
		l.over, l.held, l.extra = true, nil, extra
		close(l.broken)
	}
}

func (l *lines) write(p []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.passed > 0 {
		p = l.pass(p)
	}
	if l.over || len(p) == 0 {
		return
	}
	at := bytes.IndexByte(p, '\n') // held has none: a line that comes byte by byte is looked at once
	if at >= 0 {
		at += len(l.held)
	}
	l.held = append(l.held, p...)
	size := int64(len(l.held))
	if at >= 0 {
		size = int64(at)
	}
	switch {
	case size > l.most:
		l.answer(spoken{err: errLongLine})
		l.end(nil)
	case l.asked != nil && size > l.room:
		l.answer(spoken{err: errLongLine})
		long := l.held
		l.held = nil
		if rest := l.pass(long); len(rest) > 0 {
			l.end(nil)
		}
	case at < 0: // the rest is to come
	case l.asked == nil:
		l.end(l.held[:at])
	case at+1 < len(l.held):
		l.answer(spoken{rest: l.held[at+1:], err: errExtraLine})
		l.end(nil)
	default:
		l.answer(spoken{line: bytes.TrimSuffix(l.held[:at], []byte{'\r'})})
		l.held = nil
	}
}

// pass leaves out what belongs to a line of which nobody takes more, and gives what comes behind it.
func (l *lines) pass(p []byte) (rest []byte) {
	line, rest, ended := bytes.Cut(p, []byte{'\n'})
	l.passed += int64(len(line))
	switch {
	case l.passed > l.most:
		l.end(nil)
	case ended:
		l.passed = 0
	}
	return rest
}

// answer has room for one.
func (l *lines) answer(s spoken) {
	if l.asked != nil {
		l.asked <- s
		l.asked = nil
	}
}
