// Lambda is a function on AWS's own library that says when it got an invocation, in nanoseconds since 1970.
package main

import (
	"context"
	"encoding/json"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	lambda.Start(func(context.Context, json.RawMessage) (map[string]int64, error) {
		return map[string]int64{"received": time.Now().UnixNano()}, nil
	})
}
