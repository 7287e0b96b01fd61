package config

import (
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// OTLP says where traces and metrics are sent by OpenTelemetry's protocol.
type OTLP struct {
	Endpoint string // URL; "" = nowhere
	Protocol string // grpc or http/protobuf
	Headers  string // file; "" = none
	Traces   bool
	Sample   Ratio // of the traces that begin at this node
	Metrics  bool
	Interval function.Duration // between two sendings of metrics
	CA       string            // file; "" = what the machine believes
	Cert     string            // file; "" = none is shown
	Key      string            // file
}

// Names of OTLP's ways, as OpenTelemetry's own settings call them.
const (
	OTLPgrpc = "grpc"
	OTLPhttp = "http/protobuf"
)

func defaultOTLP() OTLP {
	return OTLP{Protocol: OTLPgrpc, Traces: true, Sample: 1, Metrics: true, Interval: function.Duration(time.Minute)}
}

// Ratio is a number from 0 to 1.
type Ratio float64

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Ratio) UnmarshalText(text []byte) error {
	v, err := strconv.ParseFloat(string(text), 64)
	if err != nil || !(v >= 0 && v <= 1) {
		return fmt.Errorf("%q is not a number from 0 to 1, such as 0.1", text)
	}
	*r = Ratio(v)
	return nil
}

func (r Ratio) String() string { return strconv.FormatFloat(float64(r), 'g', -1, 64) }

func (o *OTLP) checkEndpoint() string {
	if o.Endpoint == "" {
		return ""
	}
	u, err := url.Parse(o.Endpoint)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "":
		return "is no address such as http://collector.example:4317"
	case u.User != nil: // it is shown in log lines
		return "may not have a name or a password in it; otlp.headers takes what the receiver asks for"
	case o.Protocol == OTLPgrpc && u.Path != "" && u.Path != "/":
		return "has a path, which gRPC has not; otlp.protocol http/protobuf takes one"
	}
	return ""
}

func otlpSettings() []Setting {
	return []Setting{
		{Key: "otlp.endpoint", Flag: "otlp", Form: "http(s)://host:port", Help: "Where traces and metrics are sent by OpenTelemetry's protocol; docs/observability.md. Default: nowhere.",
			value: func(n *Node) any { return &n.OTLP.Endpoint }, check: func(n *Node) string { return n.OTLP.checkEndpoint() }},
		{Key: "otlp.protocol", Form: "grpc or http/protobuf", Help: "How. Receivers listen for gRPC on port 4317, for HTTP on 4318.",
			value: func(n *Node) any { return &n.OTLP.Protocol }, check: func(n *Node) string { return oneOf(n.OTLP.Protocol, OTLPgrpc, OTLPhttp) }},
		{Key: "otlp.headers", Form: "file", Help: "Header fields of each sending, one NAME: VALUE a line, such as authorization: Bearer TOKEN. Read at the start. Default: none.",
			value: func(n *Node) any { return &n.OTLP.Headers }, check: func(n *Node) string { return plain(n.OTLP.Headers) }},
		{Key: "otlp.traces", Form: "true or false", Help: "Whether traces are sent.",
			value: func(n *Node) any { return &n.OTLP.Traces }, check: func(*Node) string { return "" }},
		{Key: "otlp.sample", Form: "number from 0 to 1", Help: "The part of the traces that begin at this node which is sent; of the others only what went wrong. A trace that has begun elsewhere is sent where it is sampled there.",
			value: func(n *Node) any { return &n.OTLP.Sample }, check: func(*Node) string { return "" }},
		{Key: "otlp.metrics", Form: "true or false", Help: "Whether the metrics are sent that /metrics shows.",
			value: func(n *Node) any { return &n.OTLP.Metrics }, check: func(*Node) string { return "" }},
		{Key: "otlp.interval", Form: "duration", Help: "The time between two sendings of metrics.",
			value: func(n *Node) any { return &n.OTLP.Interval }, check: func(n *Node) string {
				return span(n.OTLP.Interval, function.Duration(time.Second), function.Duration(time.Hour))
			}},
		{Key: "otlp.ca", Form: "file", Help: "The authorities, in PEM, that an https receiver is believed by. Default: the machine's.",
			value: func(n *Node) any { return &n.OTLP.CA }, check: func(n *Node) string { return plain(n.OTLP.CA) }},
		{Key: "otlp.cert", Form: "file", Help: "The certificate, in PEM, that the receiver is shown. Default: none.",
			value: func(n *Node) any { return &n.OTLP.Cert }, check: func(n *Node) string {
				if (n.OTLP.Cert == "") != (n.OTLP.Key == "") {
					return "and otlp.key go together; one of them is missing"
				}
				return plain(n.OTLP.Cert)
			}},
		{Key: "otlp.key", Form: "file", Help: "The key of otlp.cert, in PEM.",
			value: func(n *Node) any { return &n.OTLP.Key }, check: func(n *Node) string { return plain(n.OTLP.Key) }},
	}
}
