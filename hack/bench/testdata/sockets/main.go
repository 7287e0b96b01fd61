// Sockets is an HTTP function that takes any upgrade and then says nothing until the client has gone.
package main

import (
	"io"
	"log"
	"net/http"
	"os"
)

func main() {
	hold := func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			return
		}
		nc, rest, err := http.NewResponseController(w).Hijack()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		defer nc.Close()
		if _, err := io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"); err == nil {
			_, _ = io.Copy(io.Discard, rest) // ends with the client
		}
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), http.HandlerFunc(hold)))
}
