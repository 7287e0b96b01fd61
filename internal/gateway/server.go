package gateway

import (
	"log/slog"
	"net/http"
	"time"
)

// Server returns an http.Server with the limits that a listener on a network needs: a client that sends its headers
// slowly, sends many of them, or keeps a connection for nothing is cut off. Bodies and answers have limits of their own in
// the handler (Options.BodyTimeout); the server has none for a whole request, since a function may run for long.
func Server(h http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug), // it is the noise of port scanners
	}
}

// streamsPerConnection bounds the requests that one connection of HTTP/2 carries at a time; net/http has the same default.
const streamsPerConnection = 250

// How much of the bodies of requests may have come by HTTP/2 that no function has read yet, in bytes: a function that reads slowly holds back
// its own client's stream, not at once all streams of the connection.
const (
	streamBuffer     = 256 << 10
	connectionBuffer = 4<<20 - 1 // the most that net/http allows
)

// Public returns a Server that takes HTTP/2 too, without TLS from clients that begin with it: RFC 9113, section 3.3. A peer that is
// silent while requests are open is asked whether it is there.
func Public(h http.Handler, logger *slog.Logger) *http.Server {
	s := Server(h, logger)
	s.Protocols = new(http.Protocols)
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetHTTP2(true)
	s.Protocols.SetUnencryptedHTTP2(true)
	s.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: streamsPerConnection, MaxReceiveBufferPerStream: streamBuffer, MaxReceiveBufferPerConnection: connectionBuffer, SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second}
	return s
}
