package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/function"
)

// runHandler is a function written for batches: kafka, sqs and bridge are AWS's own handlers, http and stdio take CloudEvents' batch
// format. Each fails the events whose data is "bad".
func runHandler(kind string) int {
	switch kind {
	case "kafka":
		lambda.Start(func(_ context.Context, k events.KafkaEvent) (map[string]any, error) {
			failed := []any{}
			for place, records := range k.Records {
				for _, r := range records {
					if r.Value == "ImJhZCI=" { // "bad"
						failed = append(failed, map[string]any{"itemIdentifier": map[string]any{"partition": place, "offset": r.Offset}})
					}
				}
			}
			return map[string]any{"batchItemFailures": failed}, nil
		})
	case "sqs":
		lambda.Start(func(_ context.Context, e events.SQSEvent) (events.SQSEventResponse, error) {
			var answer events.SQSEventResponse
			for _, m := range e.Records {
				if m.Body == `"bad"` {
					answer.BatchItemFailures = append(answer.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: m.MessageId})
				}
			}
			return answer, nil
		})
	case "bridge":
		lambda.Start(func(_ context.Context, e events.EventBridgeEvent) (string, error) {
			if string(e.Detail) == `"bad"` || e.DetailType != "t" {
				return "", errors.New("bad")
			}
			return e.ID, nil
		})
	case "http":
		return exitOf(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			status, answer := answerBatch(body)
			if err != nil || r.Header.Get("Content-Type") != event.ContentTypeBatch {
				status = http.StatusUnsupportedMediaType
			}
			w.WriteHeader(status)
			w.Write(answer)
		})))
	}
	in, err := io.ReadAll(os.Stdin)
	if err != nil {
		return exitOf(err)
	}
	status, out := answerBatch(in)
	if status != http.StatusOK {
		return exitOf(fmt.Errorf("%s", out))
	}
	_, err = os.Stdout.Write(out)
	return exitOf(err)
}

func exitOf(err error) int {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func answerBatch(body []byte) (status int, answer []byte) {
	es, err := event.DecodeBatch(body)
	if err != nil {
		return http.StatusBadRequest, []byte(err.Error())
	}
	failed := []any{}
	for _, e := range es {
		if string(e.Data) == `"bad"` {
			failed = append(failed, map[string]string{"itemIdentifier": e.ID})
		}
	}
	answer, err = json.Marshal(map[string]any{"batchItemFailures": failed})
	if err != nil {
		return http.StatusInternalServerError, []byte(err.Error())
	}
	return http.StatusOK, answer
}

// TestHandlersWrittenForAWSTakeBatches runs AWS's own Go handlers, and an HTTP server and a program, on batches of which some events
// fail: those alone become dead letters.
func TestHandlersWrittenForAWSTakeBatches(t *testing.T) {
	n := start(t, directory(t, nil))
	code := directory(t, nil)
	const manifest = `
name: %s
entry: {type: %s, command: [%q, handler, %[1]s]}
resources: {memory: 512Mi} # it may be the test itself, under the race detector
triggers: [{name: t, order: none, %[4]s, retry: {attempts: 2, initial: 1ms}}]
`
	for _, c := range []struct{ kind, entry, rules string }{
		{"kafka", "lambda", "batch: {size: 10, window: 50ms}, payload: aws-kafka"},
		{"sqs", "lambda", "batch: {size: 10, window: 50ms}, payload: aws-sqs"},
		{"bridge", "lambda", "payload: aws-eventbridge"},
		{"http", "http", "batch: {size: 10, window: 50ms}"},
		{"stdio", "stdio", "batch: {size: 10, window: 50ms}"},
	} {
		n.deploy(code, fmt.Sprintf(manifest, c.kind, c.entry, self(t), c.rules))
	}
	const good, bad = 12, 3
	var all []*event.Event
	for i := range good + bad {
		e := &event.Event{ID: fmt.Sprintf("e-%d", i), Source: "/test", Type: "t", DataContentType: "application/json", Data: []byte(`"good"`)}
		if i%5 == 4 {
			e.Data = []byte(`"bad"`)
		}
		all = append(all, e)
	}
	if _, err := n.client.Emit(t.Context(), function.TopicEvents, all); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"kafka", "sqs", "bridge", "http", "stdio"} {
		var runs []function.Run
		until(t, kind+" to be done", func() bool {
			runs = n.runs(client.RunQuery{Function: kind})
			return len(runs) == good+bad && !slices.ContainsFunc(runs, func(r function.Run) bool { return r.State == function.RunRetrying })
		})
		for _, r := range runs {
			want, attempts := function.RunSucceeded, 1
			if r.Event.ID == "e-4" || r.Event.ID == "e-9" || r.Event.ID == "e-14" {
				want, attempts = function.RunDead, 2
			}
			if r.State != want || len(r.Attempts) != attempts {
				t.Errorf("%s: run of %s is %s after %d attempts, want %s after %d", kind, r.Event.ID, r.State, len(r.Attempts), want, attempts)
			}
		}
	}
}
