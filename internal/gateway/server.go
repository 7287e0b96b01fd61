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
