// Entrypoint stands for what starts a handler in an image of a runtime of AWS's: it answers with its arguments and the code that it was shown.
package main

import (
	"context"
	"encoding/json"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	lambda.Start(func(context.Context, json.RawMessage) (map[string]any, error) {
		code, err := os.ReadFile("/var/task/app.py")
		return map[string]any{"args": os.Args[1:], "code": string(code), "level": os.Getenv("LEVEL")}, err
	})
}
