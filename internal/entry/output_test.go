package entry

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// printer makes an output whose clock stands still until the test moves it.
func printer() (o *output, lines *[]function.LogLine, now *time.Time) {
	lines, now = new([]function.LogLine), new(time.Time)
	*now = time.Unix(1000, 0)
	e := &Entries{Options: Options{
		Log: func(l function.LogLine) { *lines = append(*lines, l) },
		Now: func() time.Time { return *now },
	}}
	return newOutput(e, Start{ID: "i-1", Version: version("lambda:x")}), lines, now
}

func TestOutputIsSplitIntoLines(t *testing.T) {
	o, lines, _ := printer()
	w := o.stream("stdout")
	o.begin(&function.Invocation{Run: "run-1"})
	for _, chunk := range []string{"one\ntw", "o\r\n", "", "\n", "thr\xffee\nlast"} {
		w([]byte(chunk))
	}
	o.finish()
	o.finish()
	var got []string
	for _, l := range *lines {
		got = append(got, l.Text)
		if l.Stream != "stdout" || l.Run != "run-1" || l.Function != "shop" || l.Version != 3 || l.Instance != "i-1" || l.Time.IsZero() {
			t.Errorf("line = %+v", l)
		}
	}
	if s := strings.Join(got, "|"); s != "one|two||thr\uFFFDee|last" {
		t.Errorf("lines = %q", s)
	}
}

func TestWhatARunPrintedIsNoLastWordOfTheNext(t *testing.T) {
	o, _, _ := printer()
	w := o.stream("stderr")
	o.begin(&function.Invocation{Run: "run-1"})
	w([]byte("warning: of the first\n"))
	if got := o.lastWords(); got != "warning: of the first" {
		t.Errorf("lastWords = %q", got)
	}
	o.begin(&function.Invocation{Run: "run-2"})
	if got := o.lastWords(); got != "" {
		t.Errorf("lastWords of a run that printed nothing = %q, want none", got)
	}
	w([]byte(strings.Repeat("x\n", 5000) + "the end\n"))
	if got := o.lastWords(); len(got) > keptWords || !strings.HasSuffix(got, "x\nthe end") {
		t.Errorf("lastWords has %d bytes and ends in %q, want at most %d and the end", len(got), got[max(0, len(got)-20):], keptWords)
	}
}

func TestALongLineIsCut(t *testing.T) {
	o, lines, _ := printer()
	w := o.stream("stderr")
	for range 100 {
		w([]byte(strings.Repeat("x", 1000)))
	}
	w([]byte("\nnext\n"))
	if len(*lines) != 2 || (*lines)[0].Text != strings.Repeat("x", maxLine)+" [83616 bytes cut]" || (*lines)[1].Text != "next" {
		t.Errorf("%d lines, the first of %d bytes ending in %q", len(*lines), len((*lines)[0].Text), (*lines)[0].Text[maxLine:])
	}
}

func TestAFloodIsBoundedAndCounted(t *testing.T) {
	for name, line := range map[string]string{"lines": "x\n", "bytes": strings.Repeat("x", 8<<10) + "\n"} {
		t.Run(name, func(t *testing.T) {
			o, lines, now := printer()
			w := o.stream("stdout")
			for range 5000 {
				w([]byte(line))
			}
			kept := len(*lines)
			if kept > linesPerSecond || kept*len(line) > bytesPerSecond+maxLine || kept == 0 {
				t.Fatalf("%d lines of %d bytes were kept in a second", kept, len(line))
			}
			*now = now.Add(time.Second)
			w([]byte("after\n"))
			last := (*lines)[len(*lines)-1]
			if last.Text != "after" || last.Dropped != 5000-kept {
				t.Errorf("the next line = %q with %d dropped, want %d", last.Text, last.Dropped, 5000-kept)
			}
			for range 5000 {
				w([]byte(line))
			}
			seen := len(*lines)
			o.finish()
			if len(*lines) != seen+1 || (*lines)[seen].Dropped == 0 {
				t.Errorf("the end of a flood is not told: %+v", (*lines)[seen:])
			}
		})
	}
}

func TestLastWords(t *testing.T) {
	o, _, _ := printer()
	out, err := o.stream("stdout"), o.stream("stderr")
	out([]byte("only this\n"))
	if got := o.lastWords(); got != "only this" {
		t.Errorf("lastWords = %q", got)
	}
	for range 1000 {
		err([]byte("Traceback line\n"))
	}
	err([]byte("KeyError: 'x'\n"))
	if got := o.lastWords(); len(got) > keptWords || !strings.HasSuffix(got, "Traceback line\nKeyError: 'x'") {
		t.Errorf("lastWords = %d bytes ending in %q", len(got), got[max(0, len(got)-40):])
	}
}

func TestLogLinesOfAFunctionCarryItsRun(t *testing.T) {
	s := newStage(t)
	c := s.start(version("lambda:print"))
	s.invoke(c, payload("{}"))
	for text, stream := range map[string]string{"line one": "stdout", "line two": "stderr"} {
		l := s.line(text)
		if l.Run != "run-1" || l.Stream != stream || l.Function != "shop" || l.Version != 3 || !strings.HasPrefix(l.Instance, "i-") {
			t.Errorf("line = %+v, want run-1 on %s", l, stream)
		}
	}
}

// TestTheLastWordsAreThereForWhoeverFinishes has two see the sandbox's end: who comes second does not go on with half of what was printed.
func TestTheLastWordsAreThereForWhoeverFinishes(t *testing.T) {
	o, _, _ := printer()
	w := o.stream("stderr")
	w([]byte("cannot read the configuration"))
	s := o.streams[0]
	s.mu.Lock() // the first waits for a writer that is late
	first, second := make(chan struct{}), make(chan struct{})
	go func() {
		o.finish()
		close(first)
	}()
	for taken := false; !taken; runtime.Gosched() {
		o.mu.Lock()
		taken = o.streams == nil
		o.mu.Unlock()
	}
	go func() {
		<-second
		s.mu.Unlock()
	}()
	close(second)
	o.finish()
	if got := o.lastWords(); got != "cannot read the configuration" {
		t.Errorf("lastWords = %q after the second finish", got)
	}
	<-first
}
