package entry

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// Bounds of what one instance may print: a line over maxLine is cut, lines beyond the rate are dropped and counted.
const (
	maxLine        = 16 << 10
	linesPerSecond = 1000
	bytesPerSecond = 1 << 20
	keptWords      = 2 << 10 // of the last lines of stderr, for the message of a crash
)

// output splits what an instance prints into log lines, within bounds.
type output struct {
	emit func(function.LogLine)
	now  func() time.Time
	tag  function.LogLine

	mu      sync.Mutex
	run     string         // of the invocation that is in flight
	tail    *function.Tail // of the same; nil = nobody wants it
	second  int64          // that lines and bytes count for
	lines   int
	bytes   int
	dropped int
	streams []*stream
	words   map[string][]byte // the last lines of each stream

	ending sync.Mutex // held while finish gathers; taken before mu
}

func newOutput(e *Entries, s Start) *output {
	return &output{
		emit: e.Log, now: e.Now, words: make(map[string][]byte, 2),
		tag: function.LogLine{Function: s.Version.Function(), Version: s.Version.Number, Instance: s.ID},
	}
}

// begin tags the lines that follow as an invocation's; nil = nobody's. What was printed before is not of its run, and none of its last words.
func (o *output) begin(inv *function.Invocation) {
	o.mu.Lock()
	o.run, o.tail = "", nil
	if inv != nil {
		o.run, o.tail = inv.Run, inv.Tail
	}
	clear(o.words)
	o.mu.Unlock()
}

// beginFirst is begin, and keeps the last words of what was printed before.
func (o *output) beginFirst(inv *function.Invocation) {
	o.mu.Lock()
	o.run, o.tail = inv.Run, inv.Tail
	o.mu.Unlock()
}

// leave ends what begin began: what is printed from then on is of no invocation.
func (o *output) leave() {
	o.mu.Lock()
	o.run, o.tail = "", nil
	o.mu.Unlock()
}

// overheard gives what was printed to who wants it as it is.
func (o *output) overheard(p []byte) {
	o.mu.Lock()
	tail := o.tail
	o.mu.Unlock()
	if tail != nil {
		_, _ = tail.Write(p)
	}
}

// stream returns the writer for one of the two streams.
func (o *output) stream(name string) func([]byte) {
	s := &stream{out: o, name: name}
	o.mu.Lock()
	o.streams = append(o.streams, s)
	o.mu.Unlock()
	return s.write
}

// stream gathers one stream's lines.
type stream struct {
	out  *output
	name string

	mu   sync.Mutex // the sandbox's end may come while a late writer is still in here
	held []byte     // the beginning of a line whose end has not come yet
	cut  int        // bytes of that line beyond maxLine
}

func (s *stream) write(p []byte) {
	var lines []function.LogLine
	s.out.overheard(p)
	s.mu.Lock()
	for len(p) > 0 {
		part, rest, ended := bytes.Cut(p, []byte{'\n'})
		p = rest
		room := min(len(part), maxLine-len(s.held))
		s.held = append(s.held, part[:room]...)
		s.cut += len(part) - room
		if !ended {
			continue
		}
		kept := len(lines)
		if lines = s.end(lines); len(lines) == kept {
			p = s.skip(p)
		}
	}
	s.mu.Unlock()
	for _, l := range lines {
		s.out.emit(l)
	}
}

// end turns what is held into a line.
func (s *stream) end(lines []function.LogLine) []function.LogLine {
	if l, ok := s.out.line(s.name, s.held, s.cut); ok {
		lines = append(lines, l)
	}
	s.held, s.cut = s.held[:0], 0
	return lines
}

// skip drops the whole lines of what is left of a chunk after one of it was dropped: a flood may not cost dalamb much either.
func (s *stream) skip(p []byte) (rest []byte) {
	last := bytes.LastIndexByte(p, '\n')
	if last < 0 {
		return p
	}
	s.out.drop(s.name, p[:last], bytes.Count(p[:last+1], []byte{'\n'}))
	return p[last+1:]
}

// drop counts lines that nobody will see.
func (o *output) drop(stream string, text []byte, lines int) {
	o.mu.Lock()
	o.dropped += lines
	o.remember(stream, text)
	o.mu.Unlock()
}

// line makes a log line, unless there are too many.
func (o *output) line(stream string, text []byte, cut int) (l function.LogLine, ok bool) {
	text = bytes.TrimSuffix(text, []byte{'\r'})
	now := o.now()
	o.mu.Lock()
	o.remember(stream, text)
	if s := now.Unix(); s != o.second {
		o.second, o.lines, o.bytes = s, 0, 0
	}
	if o.lines >= linesPerSecond || o.bytes >= bytesPerSecond {
		o.dropped++
		o.mu.Unlock()
		return l, false
	}
	o.lines++
	o.bytes += len(text)
	l = o.tag
	l.Time, l.Stream, l.Run, l.Dropped = now, stream, o.run, o.dropped
	o.dropped = 0
	o.mu.Unlock()

	l.Text = strings.ToValidUTF8(string(text), "\uFFFD")
	if cut > 0 {
		l.Text += fmt.Sprintf(" [%d bytes cut]", cut)
	}
	return l, true
}

// finish gives what has no line end and tells of lines dropped at the very end. It is called when the sandbox is done; a
// second call does nothing but wait for the first: after both the last words are whole.
func (o *output) finish() {
	o.ending.Lock()
	o.mu.Lock()
	streams := o.streams
	o.streams = nil
	o.mu.Unlock()
	var lines []function.LogLine
	for _, s := range streams {
		s.mu.Lock()
		if len(s.held) > 0 {
			lines = s.end(lines)
		}
		s.mu.Unlock()
	}
	o.ending.Unlock()
	o.mu.Lock()
	l := o.tag
	l.Time, l.Stream, l.Dropped = o.now(), "stderr", o.dropped
	o.dropped = 0
	o.mu.Unlock()
	if l.Dropped > 0 {
		l.Text = fmt.Sprintf("[%d lines dropped: more than %d lines or %d bytes in a second]", l.Dropped, linesPerSecond, bytesPerSecond)
		lines = append(lines, l)
	}
	for _, l := range lines {
		o.emit(l)
	}
}

func (o *output) remember(stream string, text []byte) {
	w := o.words[stream]
	if len(w) > 0 {
		w = append(w, '\n')
	}
	w = append(w, text[max(0, len(text)-keptWords):]...)
	if over := len(w) - keptWords; over > 0 {
		w = append(w[:0], w[over:]...)
	}
	o.words[stream] = w
}

// lastWords is what the program printed last, its error output first of all.
func (o *output) lastWords() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	w := o.words["stderr"]
	if len(bytes.TrimSpace(w)) == 0 {
		w = o.words["stdout"]
	}
	return strings.ToValidUTF8(strings.TrimSpace(string(w)), "\uFFFD")
}
