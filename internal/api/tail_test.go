package api

import (
	"encoding/base64"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/dalamb/dalamb/internal/function"
)

func TestTheTailOfALog(t *testing.T) {
	n := newNode(t)
	n.deploy(payManifest, "one")
	c := n.sdk(token)
	const id = `[0-9a-f-]{36}`
	for name, tt := range map[string]struct {
		printed string
		result  function.Result
		want    string // of the whole
	}{
		"lines": {"paid 7\nand more\n", function.Result{Outcome: function.Succeeded, Duration: 1234 * time.Microsecond, MemoryKB: 30 << 10, Init: 100 * time.Millisecond},
			"START RequestId: " + id + " Version: 1\npaid 7\nand more\nEND RequestId: " + id + "\nREPORT RequestId: " + id +
				"\tDuration: 1.23 ms\tBilled Duration: 2 ms\tMemory Size: 128 MB\tMax Memory Used: 30 MB\tInit Duration: 100.00 ms\t\n"},
		"no end of a line": {"paid", function.Result{Outcome: function.Failed}, "START RequestId: " + id + ` Version: 1\npaid\nEND (?s:.*) MB\t\n`},
		"nothing":          {"", function.Result{Outcome: function.TimedOut}, "START RequestId: " + id + ` Version: 1\nEND (?s:.*)\tStatus: timeout\t\n`},
		"a crash":          {"", function.Result{Outcome: function.Crashed, Failure: &function.Failure{Type: "Runtime.ExitError"}}, `START (?s:.*)\tStatus: error\tError Type: Runtime.ExitError\t\n`},
		"too much":         {strings.Repeat("x", 2*maxTail), function.Result{Outcome: function.Succeeded}, `x+\nEND (?s:.*)`},
	} {
		t.Run(name, func(t *testing.T) {
			tt.result.Version = 1
			n.script.print(tt.printed)
			n.script.play(nil, &tt.result, nil)
			out, err := c.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("pay"), LogType: types.LogTypeTail})
			ok(t, err)
			checkTail(t, aws.ToString(out.LogResult), tt.want)
			stream, err := c.InvokeWithResponseStream(t.Context(), &lambda.InvokeWithResponseStreamInput{FunctionName: aws.String("pay"), LogType: types.LogTypeTail})
			ok(t, err)
			for e := range stream.GetStream().Events() {
				if last, is := e.(*types.InvokeWithResponseStreamResponseEventMemberInvokeComplete); is {
					checkTail(t, aws.ToString(last.Value.LogResult), tt.want)
				}
			}
		})
	}
	out, err := c.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("pay")})
	if err != nil || out.LogResult != nil {
		t.Errorf("LogResult of a call that does not ask for it = %q, %v", aws.ToString(out.LogResult), err)
	}
	if a := n.do("POST", "/2015-03-31/functions/pay/invocations", "{}", "X-Amz-Log-Type: All"); a.status != 400 || !strings.Contains(a.body, "X-Amz-Log-Type") {
		t.Errorf("an unknown log type = %d %s, want 400", a.status, a.body)
	}
}

func checkTail(t *testing.T, encoded, want string) {
	t.Helper()
	got, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(got) > maxTail || !regexp.MustCompile(`\A`+want+`\z`).Match(got) {
		t.Errorf("LogResult = %d bytes %.600q, %v; want %s", len(got), got, err, want)
	}
}
