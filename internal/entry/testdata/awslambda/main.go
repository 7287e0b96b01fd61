// Command awslambda is a function as AWS's own documentation has it: it knows nothing of dalamb.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

type order struct {
	Do    string `json:"do"`
	Total int    `json:"total"`
}

type answer struct {
	Total    int    `json:"total"`
	ID       string `json:"id"`
	ARN      string `json:"arn"`
	Function string `json:"function"`
	Version  string `json:"version"`
	Memory   int    `json:"memory"`
	App      string `json:"app"`
	Trace    any    `json:"trace"`
	LeftMs   int64  `json:"leftMs"`
}

func handle(ctx context.Context, raw json.RawMessage) (any, error) {
	var request events.LambdaFunctionURLRequest
	if json.Unmarshal(raw, &request) == nil && request.Version == "2.0" {
		return events.LambdaFunctionURLResponse{
			StatusCode: 201, Headers: map[string]string{"X-Made-By": "lambda"}, Cookies: []string{"a=1", "b=2"},
			Body: request.RequestContext.HTTP.Method + " " + request.RawPath + " " + request.Body,
		}, nil
	}
	var o order
	if err := json.Unmarshal(raw, &o); err != nil {
		return nil, err
	}
	switch o.Do {
	case "fail":
		return nil, errors.New("no such card")
	case "bytes":
		return strings.NewReader("no JSON: \xff\x00"), nil
	case "panic":
		panic("the roof is on fire")
	}
	lc, _ := lambdacontext.FromContext(ctx)
	end, _ := ctx.Deadline()
	return answer{
		Total: o.Total + 1, ID: lc.AwsRequestID, ARN: lc.InvokedFunctionArn, App: lc.ClientContext.Client.AppTitle,
		Function: lambdacontext.FunctionName, Version: lambdacontext.FunctionVersion, Memory: lambdacontext.MemoryLimitInMB,
		Trace: ctx.Value("x-amzn-trace-id"), LeftMs: time.Until(end).Milliseconds(),
	}, nil
}

func main() { lambda.Start(handle) }
