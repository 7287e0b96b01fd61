package api

import (
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// maxTail is how much of an invocation's log is told, in bytes. AWS Lambda API reference, Invoke, LogResult.
const maxTail = 4 << 10

// logResult is the end of an invocation's log in base64. AWS puts what the function printed between lines of its own, the last of which says what the
// invocation took. AWS Lambda developer guide, "Sending Lambda function logs to CloudWatch Logs".
func (a *API) logResult(c *Call, res *function.Result) string {
	var log strings.Builder
	fmt.Fprintf(&log, "START RequestId: %s Version: %d\n", c.ID, res.Version)
	printed := c.Tail.Take()
	log.Write(printed)
	if len(printed) > 0 && printed[len(printed)-1] != '\n' {
		log.WriteByte('\n')
	}
	fmt.Fprintf(&log, "END RequestId: %s\n", c.ID)
	log.WriteString(a.report(c, res))
	all := log.String()
	return base64.StdEncoding.EncodeToString([]byte(all[max(0, len(all)-maxTail):]))
}

// report is the last line. What dalamb does not know is 0 in it.
func (a *API) report(c *Call, res *function.Result) string {
	var memory function.Bytes
	if v, err := a.catalog.View().VersionNumber(c.Function, res.Version); err == nil { // else it was removed meanwhile
		memory = v.Spec.Resources.Memory
	}
	fields := []string{
		"REPORT RequestId: " + c.ID,
		"Duration: " + milliseconds(res.Duration),
		fmt.Sprintf("Billed Duration: %d ms", (res.Duration+time.Millisecond-1)/time.Millisecond),
		fmt.Sprintf("Memory Size: %d MB", int64(memory)>>20),
		fmt.Sprintf("Max Memory Used: %d MB", (res.MemoryKB+1<<10-1)>>10),
	}
	if res.Init > 0 {
		fields = append(fields, "Init Duration: "+milliseconds(res.Init))
	}
	switch res.Outcome {
	case function.Succeeded, function.Failed:
	case function.TimedOut:
		fields = append(fields, "Status: timeout")
	default:
		fields = append(fields, "Status: error")
		if f := res.Failure; f != nil && f.Type != "" {
			fields = append(fields, "Error Type: "+f.Type)
		}
	}
	return strings.Join(fields, "\t") + "\t\n"
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
}
