package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// order is the data of the events that the functions of these tests speak of.
type order struct {
	Order string `json:"order"`
	Key   string `json:"key"`
	Card  string `json:"card,omitempty"`  // "declined": can never be paid
	Began int64  `json:"began,omitempty"` // when the function began with this order, in Unix nanoseconds
}

// runFunction is a step of the shop: http pay, or lambda confirm. It takes an event and answers with the next.
func runFunction(args []string) int {
	entry, emits := args[0], args[1]
	step := func(body []byte) (int, []byte) {
		var in struct {
			Type, Subject string
			Data          order
		}
		in.Data.Began = time.Now().UnixNano()
		if err := json.Unmarshal(body, &in); err != nil {
			return http.StatusBadRequest, []byte(`{"errorType":"Bad","errorMessage":"no event"}`)
		}
		if in.Data.Card == "declined" {
			return http.StatusServiceUnavailable, []byte(`{"errorType":"Declined","errorMessage":"the bank declines"}`)
		}
		out, err := json.Marshal(map[string]any{
			"specversion": "1.0", "id": "x", "source": "/shop/" + entry, "type": emits, "subject": in.Subject, "partitionkey": in.Data.Key, "data": in.Data,
		})
		if err != nil {
			return http.StatusInternalServerError, []byte(err.Error())
		}
		return http.StatusOK, out
	}
	var err error
	switch entry {
	case "http":
		err = serveHTTP(step)
	case "grpc":
		err = serveGRPC()
	case "sockets":
		err = serveSockets()
	case "feed":
		err = serveFeed()
	default:
		err = serveLambda(step)
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// serveHTTP takes events in binary mode.
func serveHTTP(step func([]byte) (int, []byte)) error {
	return http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if r.Header.Get("Ce-Type") == "" { // a call, not an event
			w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
			w.Write(data)
			return
		}
		body, err := json.Marshal(map[string]any{"type": r.Header.Get("Ce-Type"), "subject": r.Header.Get("Ce-Subject"), "data": json.RawMessage(data)})
		if err != nil {
			return
		}
		status, answer := step(body)
		w.Header().Set("Content-Type", "application/cloudevents+json")
		w.WriteHeader(status)
		w.Write(answer)
	}))
}

// serveLambda speaks the Lambda Runtime API.
func serveLambda(step func([]byte) (int, []byte)) error {
	api := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/"
	for {
		next, err := http.Get(api + "next")
		if err != nil {
			return err
		}
		body, err := io.ReadAll(next.Body)
		next.Body.Close()
		if err != nil {
			return err
		}
		status, answer := step(body)
		if said := next.Header.Get("Lambda-Runtime-Client-Context"); said != "" { // a call that has one wants to know that it came
			status, answer = http.StatusOK, []byte(said)
		}
		way := "/response"
		if status != http.StatusOK {
			way = "/error"
		}
		posted, err := http.Post(api+next.Header.Get("Lambda-Runtime-Aws-Request-Id")+way, "application/json", bytes.NewReader(answer))
		if err != nil {
			return err
		}
		posted.Body.Close()
	}
}
