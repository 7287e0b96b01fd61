package config

import (
	"strings"
	"testing"
)

func TestOTLPIsToldAsAWhole(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"otlp: {endpoint: \"collector:4317\"}", "otlp.endpoint is no address"},
		{"otlp: {endpoint: \"ftp://collector:4317\"}", "otlp.endpoint is no address"},
		{"otlp: {endpoint: \"http://me:secret@collector:4317\"}", "otlp.endpoint may not have a name or a password"},
		{"otlp: {endpoint: \"http://collector:4317/otlp\"}", "otlp.endpoint has a path, which gRPC has not"},
		{"otlp: {protocol: http}", "otlp.protocol is \"http\"; allowed: grpc, http/protobuf"},
		{"otlp: {sample: 2}", "\"2\" is not a number from 0 to 1"},
		{"otlp: {sample: NaN}", "\"NaN\" is not a number from 0 to 1"},
		{"otlp: {interval: 1ms}", "otlp.interval is 1ms"},
		{"otlp: {cert: a.pem}", "otlp.cert and otlp.key go together"},
	} {
		if _, err := Load(Source{File: file(t, c.text)}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: Load = %v, want %s", c.text, err, c.want)
		}
	}
	n, err := Load(Source{File: file(t, "otlp: {endpoint: \"https://collector:4318/otlp\", protocol: http/protobuf, sample: 0.25, metrics: false}")})
	if err != nil || n.OTLP.Sample != 0.25 || n.OTLP.Metrics || !n.OTLP.Traces {
		t.Errorf("Load = %+v, %v", n, err)
	}
}
