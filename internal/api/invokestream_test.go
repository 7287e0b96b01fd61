package api

import (
	"bytes"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// answerStream is what AWS's SDK makes of an answer.
type answerStream struct {
	pieces   []string
	complete *types.InvokeWithResponseStreamCompleteEvent
	err      error
}

func invokeStream(t *testing.T, c *lambda.Client) (s answerStream) {
	t.Helper()
	out, err := c.InvokeWithResponseStream(t.Context(), &lambda.InvokeWithResponseStreamInput{FunctionName: aws.String("pay"), Payload: []byte(`{"order":1}`)})
	ok(t, err)
	events := out.GetStream()
	defer events.Close()
	for e := range events.Events() {
		switch e := e.(type) {
		case *types.InvokeWithResponseStreamResponseEventMemberPayloadChunk:
			s.pieces = append(s.pieces, string(e.Value.Payload))
		case *types.InvokeWithResponseStreamResponseEventMemberInvokeComplete:
			s.complete = &e.Value
		}
	}
	s.err = events.Err()
	return s
}

func TestAStreamByTheAWSSDK(t *testing.T) {
	n := newNode(t)
	n.deploy(payManifest, "one")
	c := n.sdk(token)
	large := bytes.Repeat([]byte("x"), 2*maxChunk+1)
	failure := &function.Failure{Type: "Declined", Message: "no money"}
	const told = `{"errorType":"Declined","errorMessage":"no money"}`
	for name, tt := range map[string]struct {
		pieces  [][]byte // that the function gives as it goes; nil = it answers as a whole
		result  *function.Result
		err     error
		want    []string
		details string
		broken  bool
	}{
		"a function that streams":         {pieces: [][]byte{[]byte("one"), []byte("two")}, result: &function.Result{Outcome: function.Succeeded}, want: []string{"one", "two"}},
		"large pieces":                    {pieces: [][]byte{large}, result: &function.Result{Outcome: function.Succeeded}, want: []string{string(large[:maxChunk]), string(large[:maxChunk]), "x"}},
		"nothing":                         {pieces: [][]byte{{}}, result: &function.Result{Outcome: function.Succeeded}},
		"one that fails in the middle":    {pieces: [][]byte{[]byte("one")}, result: &function.Result{Outcome: function.Failed, Failure: failure}, want: []string{"one"}, details: told},
		"one that does not stream":        {result: &function.Result{Outcome: function.Succeeded, Body: []byte(`{"paid":true}`)}, want: []string{`{"paid":true}`}},
		"one that fails":                  {result: &function.Result{Outcome: function.Failed, Failure: failure}, details: told},
		"a node that fails in the middle": {pieces: [][]byte{[]byte("one")}, err: fault.New(fault.Unavailable, "stopped"), want: []string{"one"}, broken: true},
	} {
		t.Run(name, func(t *testing.T) {
			n.script.play(tt.pieces, tt.result, tt.err)
			got := invokeStream(t, c)
			if strings.Join(got.pieces, "|") != strings.Join(tt.want, "|") {
				t.Errorf("got %d pieces %.40q, want %d", len(got.pieces), got.pieces, len(tt.want))
			}
			if tt.broken {
				if got.complete != nil {
					t.Errorf("the end is %+v, want none", got.complete)
				}
				return
			}
			if got.err != nil || got.complete == nil || aws.ToString(got.complete.ErrorDetails) != tt.details || (got.complete.ErrorCode != nil) != (tt.details != "") {
				t.Errorf("the end is %+v, %v; want details %q", got.complete, got.err, tt.details)
			}
		})
	}
	n.script.play(nil, nil, fault.New(fault.Exhausted, "no instance is free"))
	_, err := c.InvokeWithResponseStream(t.Context(), &lambda.InvokeWithResponseStreamInput{FunctionName: aws.String("pay")})
	if err == nil || !strings.Contains(err.Error(), "TooManyRequestsException") {
		t.Errorf("a call that is not made = %v, want TooManyRequestsException", err)
	}
}
