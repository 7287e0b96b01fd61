// Bare is the yardstick of the lambda entry: the smallest server that hands requests to a Lambda program over the Runtime API, on
// net/http alone. It has no sandbox, no log and no limits.
//
//	bare INSTANCES PROGRAM
//
// It prints the address that takes requests, and ends with SIGTERM or when a program does.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// call is a request on its way through a program.
type call struct {
	id     string
	body   []byte
	answer chan []byte
}

// loop hands calls to whichever program asks next.
type loop struct {
	waiting chan *call
	last    atomic.Int64

	mu      sync.Mutex
	running map[string]*call
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: bare INSTANCES PROGRAM")
	}
	instances, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, instances, os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, instances int, program string) error {
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	back, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	l := &loop{waiting: make(chan *call), running: map[string]*call{}}
	ended := make(chan error, instances+2)
	go func() { ended <- http.Serve(front, http.HandlerFunc(l.request)) }()
	go func() { ended <- http.Serve(back, l.runtimeAPI()) }()
	for range instances {
		cmd := exec.CommandContext(ctx, program)
		cmd.Env = []string{"AWS_LAMBDA_RUNTIME_API=" + back.Addr().String()}
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			return err
		}
		defer cmd.Process.Kill()
		go func() { ended <- cmd.Wait() }()
	}
	fmt.Println(front.Addr())
	select {
	case <-ctx.Done():
		return nil
	case err := <-ended:
		return err
	}
}

func (l *loop) request(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c := &call{id: strconv.FormatInt(l.last.Add(1), 10), body: body, answer: make(chan []byte, 1)}
	l.waiting <- c
	w.Header().Set("Content-Type", "application/json")
	w.Write(<-c.answer)
}

func (l *loop) runtimeAPI() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", func(w http.ResponseWriter, r *http.Request) {
		var c *call
		select {
		case c = <-l.waiting:
		case <-r.Context().Done():
			return
		}
		l.mu.Lock()
		l.running[c.id] = c
		l.mu.Unlock()
		h := w.Header()
		h.Set("Lambda-Runtime-Aws-Request-Id", c.id)
		h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(30*time.Second).UnixMilli(), 10))
		h.Set("Content-Type", "application/json")
		w.Write(c.body)
	})
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/{what}", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		l.mu.Lock()
		c := l.running[r.PathValue("id")]
		delete(l.running, r.PathValue("id"))
		l.mu.Unlock()
		if c == nil {
			http.Error(w, "no such invocation", http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusAccepted)
		c.answer <- body
	})
	return mux
}
