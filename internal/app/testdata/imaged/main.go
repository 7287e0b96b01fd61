// Command imaged is what the images of tests hold: a server at a port that it is told, or a function by the Lambda Runtime API. It answers
// with what it sees of itself, and says which signal ended it.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	go func() {
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGTERM, syscall.SIGUSR2)
		fmt.Println("ended by", <-signals)
		os.Exit(0)
	}()
	var err error
	switch os.Args[1] {
	case "http":
		err = http.ListenAndServe("127.0.0.1:"+os.Args[2], http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(seen()) // who asked may be gone
		}))
	case "lambda":
		err = serveLambda()
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// seen is what a process knows of itself.
func seen() []byte {
	dir, err := os.Getwd()
	if err != nil {
		dir = err.Error()
	}
	groups, err := os.Getgroups()
	if err != nil {
		dir = err.Error()
	}
	b, err := json.Marshal(map[string]any{
		"args": os.Args, "dir": dir, "uid": os.Getuid(), "gid": os.Getgid(), "groups": groups,
		"greeting": os.Getenv("GREETING"), "kept": os.Getenv("KEPT"),
	})
	if err != nil {
		return []byte(err.Error())
	}
	return b
}

func serveLambda() error {
	api := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/"
	for {
		next, err := http.Get(api + "next")
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, next.Body)
		next.Body.Close()
		if err != nil {
			return err
		}
		posted, err := http.Post(api+next.Header.Get("Lambda-Runtime-Aws-Request-Id")+"/response", "application/json", bytes.NewReader(seen()))
		if err != nil {
			return err
		}
		posted.Body.Close()
	}
}
