package function

import (
	"io"
	"net"
	"net/http"
)

// Head is the beginning of an answer, known before its body.
type Head struct {
	Status  int
	Header  http.Header
	Length  int64    // of the body; -1 = not known yet
	Trailer []string // names of fields that the function announced to come after the body
}

// Responder takes an answer while the function gives it. An entry uses it from the goroutine of the invocation.
type Responder interface {
	// Respond begins the answer; it is called at most once, and then the Result has Streamed and Trailer in place of a Body. A Write
	// hands its bytes to the client at once, and blocks while the client is slow to take them. An error, of a Write too, says
	// that nobody takes the answer any more.
	Respond(Head) (io.Writer, error)
	// Gone is closed when nobody takes the answer any more. It matters only after Respond: what a function has begun before
	// it answers runs to its end.
	Gone() <-chan struct{}
}

// Upgrader is a Responder that can give the client's connection away.
type Upgrader interface {
	// Upgrade answers 101 with these fields, and is called in place of Respond. The caller closes the connection.
	Upgrade(http.Header) (net.Conn, error)
}

// Informer is a Responder that can tell the client something ahead of the answer.
type Informer interface {
	// Inform sends an interim answer: RFC 9110, section 15.2. It may be called often, before Respond. Whether the client got it does
	// not matter.
	Inform(status int, fields http.Header)
}
