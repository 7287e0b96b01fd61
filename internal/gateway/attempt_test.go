package gateway

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// behind serves a handler of the gateway's own kind, as a route would.
func behind(t *testing.T, h func(g *Gateway, x *exchange, c *Call) error) *httptest.Server {
	t.Helper()
	n := start(t, says("nobody asks"))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := &exchange{ResponseWriter: w, slow: n.slow}
		if err := h(n.Gateway, x, &Call{Request: r}); err != nil {
			n.fail(x, err)
		}
	}))
	t.Cleanup(func() {
		s.Close()
		n.background.Wait()
	})
	return s
}

func ask(t *testing.T, url string) (*http.Response, string, error) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp, string(b), err
}

// streams answers 200 in two pieces, the second when the test says so.
func streams(x *exchange, more <-chan struct{}) error {
	s := &stream{x: x, r: &http.Request{}, id: "run"}
	w, err := s.Respond(function.Head{Status: 200, Header: http.Header{"X-Function": {"f"}}, Length: -1})
	if err == nil {
		_, err = io.WriteString(w, "first\n")
	}
	if err == nil {
		<-more
		_, err = io.WriteString(w, "second\n")
	}
	s.end(&function.Result{Outcome: function.Succeeded, Abandoned: err != nil, Trailer: http.Header{"X-Sum": {"42"}}}, nil)
	return nil
}

func TestAnAttemptThatIsGoodGoesThroughAsItComes(t *testing.T) {
	more := make(chan struct{})
	s := behind(t, func(g *Gateway, x *exchange, c *Call) error {
		x.Header().Set("X-Policy", "p")
		done, err := g.try(x, c, func(x *exchange, _ *Call) error { return streams(x, more) }, func(own *exchange) bool {
			return own.status == 200 && own.Header().Get("X-Function") == "f"
		})
		if !done || err != nil || x.status != 200 {
			t.Errorf("try = %v, %v with status %d, want an answer", done, err, x.status)
		}
		return err
	})
	resp, err := http.Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	r := bufio.NewReader(resp.Body)
	if line, err := r.ReadString('\n'); line != "first\n" || err != nil {
		t.Fatalf("the answer begins with %q, %v, before its end is there", line, err)
	}
	close(more)
	rest, err := io.ReadAll(r)
	if string(rest) != "second\n" || err != nil {
		t.Errorf("the answer goes on with %q, %v", rest, err)
	}
	if resp.Header.Get("X-Policy") != "p" || resp.Header.Get("X-Function") != "f" || resp.Trailer.Get("X-Sum") != "42" {
		t.Errorf("the answer has %v and trailers %v", resp.Header, resp.Trailer)
	}
}

func TestAnAttemptThatIsDroppedLeavesTheRequestUnanswered(t *testing.T) {
	for name, first := range map[string]handler{
		"collected": func(x *exchange, _ *Call) error {
			x.Header().Set("X-Function", "bad")
			x.WriteHeader(500)
			if _, err := io.WriteString(x, "first"); !errors.Is(err, errDropped) {
				t.Errorf("who writes on is told %v", err)
			}
			return nil
		},
		"streamed": func(x *exchange, _ *Call) error { return streams(x, nil) },
		"empty":    func(*exchange, *Call) error { return nil },
		"an error": func(*exchange, *Call) error { return fault.New(fault.Unavailable, "first") },
		"broken":   func(x *exchange, _ *Call) error { x.WriteHeader(200); panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			s := behind(t, func(g *Gateway, x *exchange, c *Call) error {
				done, err := g.try(x, c, first, func(*exchange) bool { return false })
				if done || (err != nil) != (name == "an error") {
					t.Errorf("try = %v, %v", done, err)
				}
				_, err = g.try(x, c, func(x *exchange, _ *Call) error { _, err := io.WriteString(x, "second"); return err }, nil)
				return err
			})
			resp, body, err := ask(t, s.URL)
			if err != nil || resp.StatusCode != 200 || body != "second" || resp.Header.Get("X-Function") != "" {
				t.Errorf("the answer is %v %q, %v; want that of the second attempt alone", resp, body, err)
			}
		})
	}
}

func TestWhatAnAttemptSaidOfItsErrorStays(t *testing.T) {
	s := behind(t, func(g *Gateway, x *exchange, c *Call) error {
		_, err := g.try(x, c, func(x *exchange, _ *Call) error {
			x.Header().Set(runHeader, "r-1")
			return fault.New(fault.Unavailable, "no")
		}, nil)
		return err
	})
	resp, body, err := ask(t, s.URL)
	if err != nil || resp.StatusCode != 503 || resp.Header.Get(runHeader) != "r-1" || !strings.Contains(body, `"no"`) {
		t.Errorf("the answer is %v %s, %v", resp, body, err)
	}
}

func TestAnAttemptThatBreaksOffIsNotTakenForWhole(t *testing.T) {
	s := behind(t, func(g *Gateway, x *exchange, c *Call) error {
		_, err := g.try(x, c, func(x *exchange, _ *Call) error {
			_, _ = io.WriteString(x, "half")
			panic(http.ErrAbortHandler)
		}, nil)
		return err
	})
	if resp, body, err := ask(t, s.URL); err == nil {
		t.Errorf("the answer is %v %q, and seems to be whole", resp, body)
	}
}

func TestAnAttemptThatIsLeftTouchesNothingOfTheClient(t *testing.T) {
	late, ended := make(chan struct{}), make(chan error)
	s := behind(t, func(g *Gateway, x *exchange, c *Call) error {
		if c.Request.URL.Path == "/next" {
			<-late
			_, err := fmt.Fprint(x, <-ended)
			return err
		}
		free, err := g.receive(x, c)
		defer free()
		if err != nil {
			return err
		}
		r := g.start(x, c, func(x *exchange, _ *Call) error {
			<-late
			_, err := io.WriteString(x, "late")
			x.Header().Set("X-Late", "yes")
			ended <- err
			return nil
		}, nil)
		if !r.leave() {
			t.Error("an attempt that has said nothing could not be left")
		}
		_, err = io.WriteString(x, "first")
		return err
	})
	if _, body, err := ask(t, s.URL); body != "first" || err != nil {
		t.Fatalf("the answer is %q, %v", body, err)
	}
	close(late)
	if resp, body, err := ask(t, s.URL+"/next"); body != errDropped.Error() || err != nil || resp.Header.Get("X-Late") != "" {
		t.Errorf("the next answer of the connection is %q, %v", body, err)
	}
}

func TestAnAttemptThatPanicsInTheBackgroundEndsNothingElse(t *testing.T) {
	s := behind(t, func(g *Gateway, x *exchange, c *Call) error {
		free, err := g.receive(x, c)
		defer free()
		if err != nil {
			return err
		}
		r := g.start(x, c, func(*exchange, *Call) error { panic("a mistake") }, nil)
		<-r.ended
		_, err = r.settle(r.err)
		return err
	})
	if resp, body, err := ask(t, s.URL); err != nil || resp.StatusCode != 500 || strings.Contains(body, "mistake") {
		t.Errorf("the answer is %v %s, %v; want 500 and no more", resp, body, err)
	}
}

func TestAnAttemptThatIsCutWhileTheClientIsSlow(t *testing.T) {
	stuck, cut := make(chan struct{}), make(chan struct{})
	s := behind(t, func(g *Gateway, x *exchange, c *Call) error {
		free, err := g.receive(x, c)
		defer free()
		if err != nil {
			return err
		}
		r := g.start(x, c, func(x *exchange, _ *Call) error {
			s := &stream{x: x, r: c.Request}
			w, err := s.Respond(function.Head{Status: 200, Length: -1})
			for piece := make([]byte, 1<<20); err == nil; _, err = w.Write(piece) {
				select {
				case stuck <- struct{}{}:
				default:
				}
			}
			s.end(&function.Result{Outcome: function.Succeeded, Abandoned: true}, nil)
			return nil
		}, nil)
		<-stuck
		defer close(cut)
		r.breakOff()
		return nil
	})
	resp, err := http.Get(s.URL)
	if err != nil {
		<-cut // before the head was sent
		return
	}
	defer resp.Body.Close()
	<-cut // though nobody reads
	if _, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Error("an answer that was cut off seems to be whole")
	}
}

// TestAConnectionIsJudgedAsAnswersAre: nobody gets the client's connection whose answer would not be the client's, and each attempt is judged once.
func TestAConnectionIsJudgedAsAnswersAre(t *testing.T) {
	var judged []int
	w := httptest.NewRecorder()
	a := newAttempt(&exchange{ResponseWriter: w}, http.Header{}, func(own *exchange) bool {
		judged = append(judged, own.status)
		return false
	})
	if _, _, err := http.NewResponseController(&a.own).Hijack(); err != errDropped {
		t.Errorf("Hijack = %v, want errDropped", err)
	}
	a.own.WriteHeader(http.StatusOK)
	if done, err := a.settle(nil); done || err != nil || !slices.Equal(judged, []int{http.StatusSwitchingProtocols}) || w.Body.Len() != 0 {
		t.Errorf("settle = %v, %v, judged %v; want that the client has no answer, by one judgement", done, err, judged)
	}
}
