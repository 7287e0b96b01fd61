package app

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// A client that asks and takes nothing does not keep what answers it; one that takes it late, but steadily, gets all.
func TestAClientThatTakesNothingIsGivenUp(t *testing.T) {
	ended := make(chan error, 1)
	web := httptest.NewServer(prompt(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/short" {
			fmt.Fprint(w, "short")
			return
		}
		piece := []byte(strings.Repeat("x", 1<<16))
		for {
			if _, err := w.Write(piece); err != nil {
				ended <- err
				return
			}
			if err := http.NewResponseController(w).Flush(); err != nil {
				ended <- err
				return
			}
		}
	}), 100*time.Millisecond))
	defer web.Close()
	c, err := net.Dial("tcp", strings.TrimPrefix(web.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	in := bufio.NewReader(c)
	for range 2 {
		fmt.Fprint(c, "GET /short HTTP/1.1\r\nHost: x\r\n\r\n")
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(res.Body); err != nil || string(text) != "short" {
			t.Fatalf("it answers %q, %v", text, err)
		}
	}
	fmt.Fprint(c, "GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
	select {
	case err := <-ended:
		if !strings.Contains(err.Error(), "timeout") {
			t.Errorf("Write = %v, want that it took too long", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("what answers goes on, though nobody takes it")
	}
}

func TestAnAnswerByHTTP2MayBeQuiet(t *testing.T) {
	const patience = 100 * time.Millisecond
	web := httptest.NewUnstartedServer(prompt(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for range 2 {
			<-time.After(2 * patience)
			fmt.Fprint(w, "x")
			_ = http.NewResponseController(w).Flush()
		}
		<-time.After(2 * patience)
	}), patience))
	web.EnableHTTP2 = true
	web.StartTLS()
	defer web.Close()
	res, err := web.Client().Get(web.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if text, err := io.ReadAll(res.Body); err != nil || res.ProtoMajor != 2 || string(text) != "xx" {
		t.Errorf("it answers %q, %v by %s", text, err, res.Proto)
	}
}
