package app_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/need/client"
)

// mostMessage is what either side takes, in bytes.
const mostMessage = 4 << 20

// serveSockets is a server of WebSockets as anybody writes one: it echoes, and does what it is asked for. There is the same in Python.
func serveSockets() error {
	ends := make(chan string, 8) // of connections
	return http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil) // refuses an Origin that is not the Host
		if err != nil {
			return
		}
		c.SetReadLimit(mostMessage)
		for {
			kind, message, err := c.Read(r.Context())
			if err != nil {
				var end websocket.CloseError
				errors.As(err, &end)
				ends <- fmt.Sprintf("%d %s", end.Code, end.Reason)
				return
			}
			switch string(message) {
			case "ping me":
				go func() {
					if c.Ping(r.Context()) == nil { // Read takes the pong
						c.Write(r.Context(), kind, []byte("you are there"))
					}
				}()
				continue
			case "close":
				c.Close(4001, "that was enough")
				return
			case "end":
				message = []byte(<-ends)
			}
			if c.Write(r.Context(), kind, message) != nil {
				return
			}
		}
	}))
}

// socket is a client's end.
type socket struct {
	*websocket.Conn
	t   *testing.T
	ctx context.Context
}

func dialSocket(t *testing.T, gateway, path string, o *websocket.DialOptions) *socket {
	t.Helper()
	c, answer, err := websocket.Dial(t.Context(), strings.Replace(gateway, "http", "ws", 1)+path, o)
	if err != nil {
		t.Fatalf("Dial = %v, %+v", err, answer)
	}
	c.SetReadLimit(mostMessage)
	t.Cleanup(func() { c.CloseNow() })
	return &socket{c, t, t.Context()}
}

func (s *socket) say(kind websocket.MessageType, message string) (back string) {
	s.t.Helper()
	if err := s.Write(s.ctx, kind, []byte(message)); err != nil {
		s.t.Fatalf("Write: %v", err)
	}
	got, answer, err := s.Read(s.ctx)
	if err != nil || got != kind {
		s.t.Fatalf("Read = %v, %v, want one of kind %v", got, err, kind)
	}
	return string(answer)
}

// A server of WebSockets that knows nothing of dalamb is a function; well-kept clients and servers of others speak with each other by the
// gateway.
func TestWebSockets(t *testing.T) {
	t.Parallel()
	n := start(t, t.TempDir())
	const manifest = `
name: %[1]s
code: %[2]s
entry: {type: http, command: [%[3]s], concurrency: 8}
resources: {memory: 512Mi} # it may be the test itself, under the race detector
triggers: [{name: talk, route: {method: GET, path: /%[1]s}}]
`
	n.deploy(t.TempDir(), fmt.Sprintf(manifest, "go", ".", self(t)+", function, sockets, x"))
	t.Run("go", func(t *testing.T) { speak(t, n, "/go") })
	t.Run("python", func(t *testing.T) {
		python := client.WebSockets()
		code := t.TempDir()
		if err := os.CopyFS(code, os.DirFS(need.Server(t, python))); err != nil {
			t.Fatal(err)
		}
		n.deploy(code, fmt.Sprintf(manifest, "python", ".", strings.Join(python.Command, ", ")))
		speak(t, n, "/python")
	})
}

func speak(t *testing.T, n *node, path string) {
	c := dialSocket(t, n.gateway, path, &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {n.gateway}}}) // as a page of this host would
	if got := c.say(websocket.MessageText, "żółć 猫"); got != "żółć 猫" {
		t.Errorf("echo = %q", got)
	}
	bytesOf := func(size int) string {
		var b bytes.Buffer
		for noise := rand.New(rand.NewPCG(1, 2)); b.Len() < size; {
			b.WriteByte(byte(noise.Uint32()))
		}
		return b.String()
	}
	for _, size := range []int{0, 1, 125, 126, 65535, 65536, 1 << 20} { // where the form of the length changes, RFC 6455, section 5.2
		if message := bytesOf(size); c.say(websocket.MessageBinary, message) != message {
			t.Errorf("%d bytes did not come back as they were sent", size)
		}
	}
	if got := c.say(websocket.MessageText, "ping me"); got != "you are there" {
		t.Errorf("the function's ping came back as %q", got)
	}
	heard := make(chan error, 1)
	go func() { // Ping takes its pong from a Read
		_, message, err := c.Read(c.ctx)
		if err == nil && string(message) != "after the ping" {
			err = fmt.Errorf("read %q", message)
		}
		heard <- err
	}()
	if err := c.Ping(c.ctx); err != nil {
		t.Errorf("Ping = %v", err)
	}
	if err := c.Write(c.ctx, websocket.MessageText, []byte("after the ping")); err != nil {
		t.Fatal(err)
	}
	if err := <-heard; err != nil {
		t.Error(err)
	}

	pressed := dialSocket(t, n.gateway, path, &websocket.DialOptions{CompressionMode: websocket.CompressionContextTakeover})
	if text := strings.Repeat("again and again ", 1<<16); pressed.say(websocket.MessageText, text) != text {
		t.Error("1 MiB of compressed text did not come back as it was sent")
	}
	if err := pressed.Close(4002, "bye"); err != nil {
		t.Errorf("Close = %v", err)
	}
	if got := c.say(websocket.MessageText, "end"); got != "4002 bye" {
		t.Errorf("the function saw the end %q, want 4002 bye", got)
	}
	if err := c.Write(c.ctx, websocket.MessageText, []byte("close")); err != nil {
		t.Fatal(err)
	}
	_, _, err := c.Read(c.ctx)
	var end websocket.CloseError
	if !errors.As(err, &end) || end.Code != 4001 || end.Reason != "that was enough" {
		t.Errorf("Read at the end = %v, want the function's code and reason", err)
	}
}
