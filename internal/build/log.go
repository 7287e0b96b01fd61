package build

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
)

const (
	maxLog     = 1 << 20 // bytes of one build's log
	maxLogLine = 4 << 10 // bytes; a longer one is cut

	maxToolchain = 200 // bytes of what tools call themselves; it is kept with a version
)

// buildLog takes what a build says, from several goroutines, and passes it on in lines: to the file that stays, and to who waits for the build
// (an outlet).
type buildLog struct {
	lines chan logLine
	done  chan struct{} // closed when all lines are written
	hide  hiding
	err   error // of the file; valid when done is closed

	mu      sync.Mutex
	partial map[int][]byte  // what came of a line that has no end yet, by stream
	first   string          // line of the first stream that is no prompt
	heard   map[string]bool // of the words that tell why something failed, those that were seen
}

// wordsOfForks are the machine's for too many processes.
func wordsOfForks() []string { return []string{"Resource temporarily unavailable", "Cannot fork"} }

// wordsOfNetwork are the tools' for a host that they cannot connect to.
func wordsOfNetwork() []string {
	return []string{"onnection refused", "ECONNREFUSED", "etwork is unreachable", "ENETUNREACH", "name resolution", "no such host", "EAI_AGAIN", "Could not resolve host"}
}

type logLine struct {
	text string
	own  bool // dalamb says it; it is in the log however full that is
}

// newLog makes the log of a build, at path. hide takes from lines what nobody shall read.
func newLog(path string, out *outlet, hide hiding) (*buildLog, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make a build's log: %w", err)
	}
	l := &buildLog{lines: make(chan logLine, 256), done: make(chan struct{}), hide: hide, partial: map[int][]byte{}, heard: map[string]bool{}}
	go func() {
		defer close(l.done)
		l.err = l.write(f, out)
	}()
	return l, nil
}

// write writes all lines until there are no more to come.
func (l *buildLog) write(file *os.File, out *outlet) error {
	size := 0
	var failed error
	for line := range l.lines {
		text := line.text
		if !line.own {
			if size > maxLog {
				continue
			}
			if size += len(text) + 1; size > maxLog {
				text = fmt.Sprintf("... more than %d KiB; the rest is left out", maxLog>>10)
			}
		}
		if _, err := io.WriteString(file, text+"\n"); err != nil && failed == nil {
			failed = fmt.Errorf("write a build's log: %w", err)
		}
		out.say(text)
	}
	if err := file.Close(); err != nil && failed == nil {
		failed = fmt.Errorf("write a build's log: %w", err)
	}
	return failed
}

// stream is one that a build writes to.
func (l *buildLog) stream(n int) func(p []byte) {
	return func(p []byte) {
		for _, text := range l.cut(n, p) {
			l.lines <- logLine{text: text}
		}
	}
}

// only passes on those lines of a stream that begin so.
func (l *buildLog) only(n int, prefix string) func(p []byte) {
	return func(p []byte) {
		for _, text := range l.cut(n, p) {
			if strings.HasPrefix(text, prefix) {
				l.lines <- logLine{text: text}
			}
		}
	}
}

// counts says how many lines came of a stream, every so many.
func (l *buildLog) counts(every int, format string) func(p []byte) {
	count := 0
	return func(p []byte) {
		for range bytes.Count(p, []byte("\n")) {
			if count++; count%every == 0 {
				l.say(format, count)
			}
		}
	}
}

// cut makes lines of what a stream gives.
func (l *buildLog) cut(n int, p []byte) (lines []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(p) > 0 {
		line, rest, whole := bytes.Cut(p, []byte("\n"))
		if room := l.hide.needs(maxLogLine) - len(l.partial[n]); room > 0 {
			l.partial[n] = append(l.partial[n], line[:min(len(line), room)]...)
		}
		if whole {
			lines = append(lines, l.take(n))
		}
		p = rest
	}
	return lines
}

// take ends the line of a stream. l.mu is held.
func (l *buildLog) take(n int) string {
	line := l.hide.line(l.partial[n], maxLogLine) // before anything of it is cut or changed
	l.partial[n] = l.partial[n][:0]
	line = strings.ToValidUTF8(strings.TrimRight(line, "\r"), "?")
	if i := strings.LastIndexByte(line, '\r'); i >= 0 {
		line = line[i+1:] // a progress bar: only what would be seen in the end
	}
	if n == 0 && l.first == "" && !strings.HasPrefix(line, prompt) {
		l.first = line
	}
	for _, words := range slices.Concat(wordsOfForks(), wordsOfNetwork()) {
		if strings.Contains(line, words) {
			l.heard[words] = true
		}
	}
	return line
}

// say adds a line of dalamb's own.
func (l *buildLog) say(format string, args ...any) {
	for text := range strings.Lines(fmt.Sprintf(format, args...)) {
		l.lines <- logLine{text: strings.TrimRight(text, "\n"), own: true}
	}
}

// end passes on what has no line end, when nothing more comes from the streams.
func (l *buildLog) end() {
	for n := range streams {
		l.mu.Lock()
		var rest []string
		if len(l.partial[n]) > 0 {
			rest = append(rest, l.take(n))
		}
		l.mu.Unlock()
		for _, text := range rest {
			l.lines <- logLine{text: text}
		}
	}
}

// streams of a build: its output and its errors.
const streams = 2

// escape is what colours a terminal.
var escape = regexp.MustCompile("\x1b\\[[0-9;]*[A-Za-z]")

// placeOfTool is where on the machine a tool says that it is: nothing that a version is to tell.
var placeOfTool = regexp.MustCompile(` from /\S*`)

// toolchain is the first line that the build printed: what its tools call themselves.
func (l *buildLog) toolchain() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := placeOfTool.ReplaceAllString(escape.ReplaceAllString(l.first, ""), "")
	return strings.ToValidUTF8(first[:min(len(first), maxToolchain)], "")
}

// saw says whether the build has said any of some words.
func (l *buildLog) saw(words []string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(words, func(w string) bool { return l.heard[w] })
}

// close waits until all is written.
func (l *buildLog) close() error {
	close(l.lines)
	<-l.done
	return l.err
}
