// Web is an HTTP function that says when it got a request and when it was started, in nanoseconds since 1970. It takes as long over
// a request as SLEEP says, and its answer is an event of the type in EMIT.
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"time"
)

func main() {
	started := time.Now().UnixNano()
	emit := os.Getenv("EMIT")
	sleep, _ := time.ParseDuration(os.Getenv("SLEEP")) // without one it answers at once
	answer := func(w http.ResponseWriter, r *http.Request) {
		received := time.Now().UnixNano()
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		time.Sleep(sleep)
		if emit != "" {
			for name, value := range map[string]string{"Specversion": "1.0", "Type": emit, "Source": "/bench/web", "Id": "0"} {
				w.Header().Set("Ce-"+name, value)
			}
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"received":%d,"started":%d}`, received, started)
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), http.HandlerFunc(answer)))
}
