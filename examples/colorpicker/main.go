// Colorpicker answers with the colour that the file color beside it names. A number behind the colour is how many requests of a hundred
// fail: a version with a mistake in it. A second one is for how many milliseconds it thinks.
package main

import (
	_ "embed"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

//go:embed page.html
var page []byte

// version is what the file color says.
type version struct {
	color string
	fails int // of a hundred
	think time.Duration
}

func read(file string) (v version, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return v, err
	}
	words := strings.Fields(string(text))
	if len(words) == 0 {
		return v, fmt.Errorf("%s names no colour", file)
	}
	v.color = words[0]
	if len(words) > 1 {
		if v.fails, err = strconv.Atoi(words[1]); err != nil {
			return v, fmt.Errorf("%s: %w", file, err)
		}
	}
	if len(words) > 2 {
		n, err := strconv.Atoi(words[2])
		if err != nil {
			return v, fmt.Errorf("%s: %w", file, err)
		}
		v.think = time.Duration(n) * time.Millisecond
	}
	return v, nil
}

// ServeHTTP answers with the colour: one cell of the page asks for it, or an event comes.
func (v version) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	time.Sleep(v.think)
	w.Header().Set("X-Color", v.color)
	if rand.IntN(100) < v.fails {
		http.Error(w, "there is a mistake in "+v.color, http.StatusInternalServerError)
		return
	}
	fmt.Fprintln(w, v.color)
}

func main() {
	v, err := read("color")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	mux := http.NewServeMux()
	mux.Handle("/", v)
	mux.HandleFunc("GET /colors/{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(page) // who went away does not need it
	})
	s := &http.Server{Addr: "127.0.0.1:" + os.Getenv("PORT"), Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	fmt.Fprintln(os.Stderr, s.ListenAndServe())
	os.Exit(1)
}
