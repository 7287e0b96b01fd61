package entry

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/need"
)

// playLines is the function's side of a conversation by lines. It returns where the behaviour is none.
func playLines(what string) {
	verb, arg, _ := strings.Cut(what, "=")
	verb, ok := strings.CutPrefix(verb, "lines-")
	if !ok {
		return
	}
	in := bufio.NewReaderSize(os.Stdin, 8<<20)
	for n := 1; ; n++ {
		switch verb {
		case "early":
			fmt.Println("hello, here I am")
		case "unfit":
			fmt.Fprintln(os.Stderr, arg)
			os.Exit(3)
		}
		line, err := in.ReadString('\n')
		if err != nil {
			fmt.Fprintln(os.Stderr, "no more lines")
			os.Exit(0)
		}
		switch verb {
		case "count":
			fmt.Fprintf(os.Stderr, "line %d\n", n)
			fmt.Printf("{\"n\":%d,\"got\":%s}\n", n, strings.TrimSpace(line))
		case "say":
			fmt.Println(arg)
		case "twice":
			fmt.Print("1\n2\n")
		case "late": // one more, some time after the answer
			fmt.Println("1")
			fmt.Println("2")
		case "long":
			fmt.Println(strings.Repeat("1", defaultAnswer+1))
		case "limit":
			fmt.Println(strings.Repeat("1", defaultAnswer))
		case "exit":
			fmt.Fprintln(os.Stderr, "out of luck")
			os.Exit(100)
		case "last":
			fmt.Println(`"bye"`)
			os.Exit(0)
		case "hang":
			fmt.Fprintln(os.Stderr, "hanging")
			time.Sleep(time.Hour)
		}
	}
}

func byLines(spec *function.Spec) { spec.Entry.Mode = function.ModeLines }

func TestAProcessAnswersLineByLine(t *testing.T) {
	forRunners(t, func(t *testing.T, s *stage) {
		c := s.start(version("stdio:lines-count", byLines))
		first := payload("{\n \"a\": 1\n}")
		first.Run = "run-1"
		if r := s.invoke(c, first); r.Outcome != function.Succeeded || string(r.Body) != `{"n":1,"got":{"a":1}}` {
			t.Fatalf("first = %s %q %+v", r.Outcome, r.Body, r.Failure)
		}
		e := &event.Event{ID: "e-1", Source: "/s", Type: "order.paid", Data: []byte("{\n\"b\": 2}"), DataContentType: "application/json"}
		r := s.invoke(c, &function.Invocation{ID: "2", Run: "run-2", Event: e})
		var got struct {
			N   int
			Got event.Event
		}
		if err := json.Unmarshal(r.Body, &got); err != nil || got.N != 2 || got.Got.ID != "e-1" || r.Events != nil {
			t.Fatalf("second = %+v %q, %v", r, r.Body, err)
		}
		if l := s.line("line 2"); l.Run != "run-2" || l.Stream != "stderr" {
			t.Errorf("log line = %+v, want it with its run", l)
		}
		c.Stop(5 * time.Second)
		s.line("no more lines")
	})
}

func TestAProcessThatEndsBeforeItsFirstLineSaysWhy(t *testing.T) {
	forRunners(t, func(t *testing.T, s *stage) {
		c := s.start(version("stdio:lines-unfit=no such module", byLines))
		if silent, is := c.(Silent); !is || silent.Settles() <= 0 {
			t.Error("it passes for ready although it cannot say so")
		}
		<-c.Done()
		const want = "exit status 3 before it took an invocation: no such module"
		wantWords := func() {
			t.Helper()
			if why := c.(Unused).Unused(); why.Outcome != function.InitError || why.Failure.Type != "Runtime.ExitError" || !strings.HasSuffix(why.Failure.Message, want) {
				t.Errorf("Unused = %s %+v, want %q", why.Outcome, why.Failure, want)
			}
		}
		wantWords()
		if _, err := c.Invoke(t.Context(), payload("{}")); !errors.Is(err, ErrUndelivered) {
			t.Errorf("Invoke = %v, want ErrUndelivered", err)
		}
		wantWords() // the call has not taken them
	})
}

func TestALineAnswersARequest(t *testing.T) {
	s := newStage(t)
	request := func() *function.Invocation {
		r := httptest.NewRequest("PUT", "/a/b?x=1", strings.NewReader("hello\nworld"))
		r.Header.Set("Content-Type", "text/plain")
		return &function.Invocation{ID: event.NewID(), Request: r}
	}
	c := s.start(version("stdio:lines-count", byLines))
	r := s.invoke(c, request())
	if r.Status != 200 || r.Header.Get("Content-Type") != "application/json" || !strings.Contains(string(r.Body), `"body":"hello\nworld"`) {
		t.Errorf("answer = %d %v %s", r.Status, r.Header, r.Body)
	}
	c = s.start(version(`stdio:lines-say={"statusCode":201,"headers":{"X-Mine":"1"},"body":"made"}`, byLines))
	if r := s.invoke(c, request()); r.Status != 201 || r.Header.Get("X-Mine") != "1" || string(r.Body) != "made" {
		t.Errorf("answer = %d %v %s", r.Status, r.Header, r.Body)
	}
}

func TestWhatALineMeans(t *testing.T) {
	s := newStage(t)
	for _, c := range []struct {
		behaves string
		outcome function.Outcome
		typ     string
		text    string
		stays   bool
	}{
		{`say={"errorType":"No.Stock","errorMessage":"sold out","retry":false}`, function.Failed, "No.Stock", "sold out", true},
		{"say=hello", function.BadAnswer, "Function.InvalidResponse", `is not JSON: "hello"`, false},
		{"say=", function.BadAnswer, "Function.InvalidResponse", "not JSON", false},
		{`say={"specversion":"1.0","type":"dalamb.x"}`, function.BadAnswer, "Function.InvalidEvent", "only dalamb", true},
		{"twice", function.BadAnswer, "Function.ExtraOutput", `a second one begins "2`, false},
		{"long", function.BadAnswer, "Function.ResponseSizeTooLarge", "6291456", false},
		{"exit", function.Crashed, "Runtime.ExitError", "exit status 100 before it answered: out of luck", false},
		{"hang", function.TimedOut, "Sandbox.Timedout", "time-out of 1s", true},
	} {
		t.Run(c.behaves, func(t *testing.T) {
			conn := s.start(version("stdio:lines-"+c.behaves, byLines, func(spec *function.Spec) {
				if c.outcome == function.TimedOut {
					spec.Timeout = function.Duration(time.Second)
				}
			}))
			wantFailure(t, s.invoke(conn, payload("{}")), c.outcome, c.typ, c.text)
			if c.stays {
				select {
				case <-conn.Done():
					t.Error("the instance is gone")
				default:
				}
				return
			}
			<-conn.Done()
			if _, err := conn.Invoke(t.Context(), payload("{}")); !errors.Is(err, ErrUndelivered) {
				t.Errorf("Invoke of one that is gone = %v, want ErrUndelivered", err)
			}
		})
	}
	wantOutcome(t, s.once("stdio:lines-limit", payload("{}")), function.Succeeded)
}

func TestTheLastWordsOfAProcessCount(t *testing.T) {
	s := newStage(t)
	c := s.start(version("stdio:lines-last", byLines))
	if r := s.invoke(c, payload("{}")); r.Outcome != function.Succeeded || string(r.Body) != `"bye"` {
		t.Errorf("Invoke = %+v", r)
	}
	<-c.Done()
}

func TestALineThatNobodyAskedForEndsTheInstance(t *testing.T) {
	s := newStage(t)
	c := s.start(version("stdio:lines-early", byLines))
	<-c.Done()
	s.line("hello, here I am")
	s.line("answers nothing")
}

func TestAnEventThatIsNotReadIsATimeOut(t *testing.T) {
	s := newStage(t)
	c := s.start(version("stdio:hang", byLines, func(spec *function.Spec) { spec.Timeout = function.Duration(time.Second) }))
	big := payload(`"` + strings.Repeat("x", 1<<20) + `"`) // more than a pipe holds
	wantFailure(t, s.invoke(c, big), function.TimedOut, "Sandbox.Timedout", "1s")
}

// The same conversation in other languages, both modes.
func TestStdioInSeveralLanguages(t *testing.T) {
	programs := []struct {
		name        string
		need        func(testing.TB)
		once, lines []string
	}{
		{
			"shell", func(testing.TB) {},
			[]string{"sh", "-c", `read -r line; printf '{"got":%s}\n' "$line"`},
			[]string{"sh", "-c", `while read -r line; do printf '{"got":%s}\n' "$line"; done`},
		},
		{
			"python", func(t testing.TB) { need.Program(t, "python3") },
			[]string{"python3", "-c", `import json,sys; print(json.dumps({"got": json.load(sys.stdin)}, separators=(",", ":")))`},
			[]string{"python3", "-c", "import json,sys\nfor line in sys.stdin: print(json.dumps({'got': json.loads(line)}, separators=(',', ':')), flush=True)"},
		},
		{
			"node", func(t testing.TB) { need.Program(t, "node") },
			[]string{"node", "-e", `process.stdout.write(JSON.stringify({got: JSON.parse(require("fs").readFileSync(0))}) + "\n")`},
			[]string{"node", "-e", `require("readline").createInterface({input: process.stdin}).on("line", l => console.log(JSON.stringify({got: JSON.parse(l)})))`},
		},
	}
	for _, p := range programs {
		t.Run(p.name, func(t *testing.T) {
			p.need(t)
			s := newStage(t)
			const text, want = `{"a":["ä",1]}`, `{"got":{"a":["ä",1]}}`
			for mode, command := range map[string][]string{function.ModeOnce: p.once, function.ModeLines: p.lines} {
				c := s.start(version("stdio:", func(spec *function.Spec) {
					spec.Entry.Mode, spec.Entry.Command, spec.Env = mode, command, nil
				}))
				times := 1
				if mode == function.ModeLines {
					times = 3
				}
				for range times {
					if r := s.invoke(c, payload(text+"\n")); r.Outcome != function.Succeeded || strings.ReplaceAll(strings.TrimSpace(string(r.Body)), `\u00e4`, "ä") != want {
						t.Errorf("%s = %s %q %+v, want %s", mode, r.Outcome, r.Body, r.Failure, want)
					}
				}
			}
		})
	}
}

// FuzzLines holds that whatever a process writes, in whatever pieces, somebody who asks gets a whole line or a reason.
func FuzzLines(f *testing.F) {
	f.Add("1\n", "2\n", true)
	f.Add(strings.Repeat("x", 50), strings.Repeat("x", 15)+"\n", true)
	f.Add(strings.Repeat("x", 45)+"\n", "2\n", true)
	f.Add("{\"a\"", ":1}\r\n", true)
	f.Add("\n\n", "", false)
	f.Add(strings.Repeat("x", 65), "\n", true)
	f.Fuzz(func(t *testing.T, one, two string, asked bool) {
		l := &lines{most: 64, broken: make(chan struct{})}
		const room = 40
		var answer <-chan spoken
		if asked {
			answer = l.ask(room)
		}
		l.write([]byte(one))
		l.write([]byte(two))
		select {
		case a := <-answer:
			if a.err == nil && (strings.ContainsRune(string(a.line), '\n') || !strings.HasPrefix(one+two, string(a.line)) || len(a.line) > int(room)) {
				t.Errorf("answer to %q %q = %q", one, two, a.line)
			}
		default:
			if asked && !l.over && strings.ContainsRune(one+two, '\n') {
				t.Errorf("%q %q holds a line, and nobody got it", one, two)
			}
		}
		if len(l.held) > 64 {
			t.Errorf("%d bytes are held of a line of at most 64", len(l.held))
		}
	})
}
