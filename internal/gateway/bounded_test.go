package gateway

import (
	"bufio"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// A client that waits to be told to go on is refused without its body.
func TestARefusalDoesNotWaitForABodyThatNobodyAskedFor(t *testing.T) {
	n := start(t, says("x"))
	one := route("r", "POST", "/x")
	one.Route.Body = &function.BodyLimit{Max: 10}
	one.Route.Auth = &function.Auth{Token: &function.TokenAuth{Names: []string{"ann"}}}
	n.deploy("f", one)
	conn, err := net.Dial("tcp", strings.TrimPrefix(n.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := conn.Write([]byte("POST /x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("no answer while the body is held back: %v", err)
	}
	resp.Body.Close()
	if resp.StatusCode != 401 {
		t.Errorf("answer = %s, want 401 at once", resp.Status)
	}
}
