// Command client is the function of the runtime client matrix, in Go. It knows nothing of dalamb.
package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

type request struct {
	Do, Text string
	Size     int
}

// CardError is what the function fails with.
type CardError struct{}

func (CardError) Error() string { return "no such card" }

func handle(ctx context.Context, r request) (any, error) {
	switch r.Do {
	case "echo":
		return map[string]string{"text": r.Text}, nil
	case "fail":
		return nil, CardError{}
	case "sleep":
		time.Sleep(time.Hour)
	case "eat":
		for all := [][]byte{}; len(all) >= 0; {
			all = append(all, bytes.Repeat([]byte{1}, 8<<20))
		}
	case "take":
		return map[string]int{"size": len(r.Text)}, nil
	case "give":
		return strings.Repeat("x", r.Size-2), nil
	}
	lc, _ := lambdacontext.FromContext(ctx)
	end, _ := ctx.Deadline()
	return map[string]any{
		"id": lc.AwsRequestID, "arn": lc.InvokedFunctionArn, "trace": ctx.Value("x-amzn-trace-id"),
		"leftMs": time.Until(end).Milliseconds(),
	}, nil
}

func stream(_ context.Context, r events.LambdaFunctionURLRequest) (*events.LambdaFunctionURLStreamingResponse, error) {
	body, w := io.Pipe()
	go func() {
		io.WriteString(w, "first ")
		time.Sleep(100 * time.Millisecond)
		if r.RawPath == "/fail" {
			w.CloseWithError(CardError{})
			return
		}
		io.WriteString(w, "second")
		w.Close()
	}()
	return &events.LambdaFunctionURLStreamingResponse{
		StatusCode: 207, Headers: map[string]string{"Content-Type": "text/plain", "X-Streamed": "yes"}, Cookies: []string{"a=1"}, Body: body,
	}, nil
}

func main() {
	switch {
	case os.Getenv("FAIL_INIT") != "":
		panic("no module for cards")
	case os.Getenv("STREAM") != "":
		lambda.Start(stream)
	default:
		lambda.Start(handle)
	}
}
