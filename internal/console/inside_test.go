package console

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
)

func through(t *testing.T, h http.HandlerFunc) *http.Client {
	t.Helper()
	return &http.Client{Transport: inside{h}}
}

func TestAnAnswerComesWhileItIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		more := make(chan struct{})
		c := through(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Asked", r.Host+r.RequestURI)
			w.WriteHeader(http.StatusAccepted)
			w.Header().Set("X-Late", "x")
			_, _ = io.WriteString(w, "one\n")
			_ = http.NewResponseController(w).Flush()
			<-more
			_, _ = io.WriteString(w, "two\n")
		})
		resp, err := c.Get("http://control/a?b=c")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusAccepted || resp.Header.Get("X-Asked") != "control/a?b=c" || resp.Header.Get("X-Late") != "" {
			t.Errorf("answer = %d %v, want 202 with what was set before it", resp.StatusCode, resp.Header)
		}
		lines := bufio.NewScanner(resp.Body)
		if !lines.Scan() || lines.Text() != "one" {
			t.Fatalf("first line = %q, want one", lines.Text())
		}
		close(more)
		if !lines.Scan() || lines.Text() != "two" || lines.Scan() || lines.Err() != nil {
			t.Errorf("then %q, %v; want two, and the end", lines.Text(), lines.Err())
		}
	})
}

func TestWhoClosesTheBodyEndsTheHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		c := through(t, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusOK)
			<-r.Context().Done()
			_, err := w.Write([]byte("too late"))
			ended <- err
		})
		resp, err := c.Get("http://control/")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if err := <-ended; err == nil {
			t.Error("a write after the reader has left succeeded")
		}
	})
}

func TestWhoWaitsNoLongerGetsHisReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c := through(t, func(_ http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() })
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://control/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := c.Do(r); !errors.Is(err, context.Canceled) {
			if err == nil {
				resp.Body.Close()
			}
			t.Errorf("Do = %v, want canceled", err)
		}
	})
}

func TestAPanicOfTheHandlerIsAnError(t *testing.T) {
	c := through(t, func(http.ResponseWriter, *http.Request) { panic("broken") })
	if resp, err := c.Get("http://control/"); err == nil || !strings.Contains(err.Error(), "broken") {
		if err == nil {
			resp.Body.Close()
		}
		t.Errorf("Get = %v, want what broke", err)
	}
	c = through(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "half"); panic("broken") })
	resp, err := c.Get("http://control/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err == nil || string(text) != "half" {
		t.Errorf("body = %q, %v; want half, and an error", text, err)
	}
}

// A handler that has ended when it is first looked at ends its context, too: both are ready then, and either may be seen.
func TestAnAnswerIsWholeWhoeverIsFirst(t *testing.T) {
	c := inside{http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })}
	for i := range 50_000 {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://control/", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatalf("answer %d: %v, want its end", i, err)
		}
	}
}
