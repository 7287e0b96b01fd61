package entry

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/dalamb/dalamb/internal/function"
)

// fields renders the answer to "next" up to the deadline, which is only known when the runtime takes the invocation.
func (c *lambdaConn) fields(inv *function.Invocation, size int) []byte {
	b := make([]byte, 0, 640+size)
	b = append(b, okLine+"Content-Type: application/json\r\nLambda-Runtime-Aws-Request-Id: "...)
	b = append(b, inv.ID...)
	b = append(b, "\r\nLambda-Runtime-Invoked-Function-Arn: "...)
	b = append(b, c.arn()...)
	if id := xrayID(inv.TraceParent); id != "" {
		b = append(append(b, "\r\nLambda-Runtime-Trace-Id: "...), id...)
	}
	if text := clientContext(inv.ClientContext); text != nil {
		b = append(append(b, "\r\nLambda-Runtime-Client-Context: "...), text...)
	}
	b = append(b, "\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(size), 10)
	return append(b, "\r\nLambda-Runtime-Deadline-Ms: "...)
}

// arn names the version as AWS would.
func (c *lambdaConn) arn() string {
	return function.ARN(c.entries.Region, c.start.Version.Function(), strconv.Itoa(c.start.Version.Number))
}

// clientContext is the JSON text of X-Amz-Client-Context, on one line; nil when it is none.
func clientContext(encoded string) []byte {
	if encoded == "" {
		return nil
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil
	}
	var line bytes.Buffer
	if json.Compact(&line, raw) != nil {
		return nil
	}
	return line.Bytes()
}

// xrayID gives a W3C traceparent in AWS's form: Root=1-<8 hex>-<24 hex>;Parent=<16 hex>;Sampled=<0|1>.
func xrayID(parent string) string {
	parts := strings.Split(parent, "-")
	if len(parts) < 4 || len(parts[1]) != 32 || len(parts[2]) != 16 || strings.ContainsAny(parent, "\r\n") {
		return ""
	}
	sampled := "0"
	if strings.HasSuffix(parts[3], "1") {
		sampled = "1"
	}
	return "Root=1-" + parts[1][:8] + "-" + parts[1][8:] + ";Parent=" + parts[2] + ";Sampled=" + sampled
}
