package ship

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// OTLP is a sink that takes logs by OTLP over HTTP, in protobuf.
type OTLP struct{ *HTTP }

// NewOTLP asks nobody yet. The URL has the path too, /v1/logs as a rule.
func NewOTLP(o HTTPOptions) *OTLP { return &OTLP{NewHTTP(o)} }

// Send posts one batch.
func (o *OTLP) Send(ctx context.Context, lines []Line) error {
	b, err := proto.Marshal(export(lines))
	if err != nil {
		return fmt.Errorf("encode log lines: %w", err)
	}
	answer, err := o.post(ctx, "application/x-protobuf", b)
	if err != nil {
		return err
	}
	if n, why := rejected(answer); n > 0 {
		// OTLP 1.7, "Partial Success": the request must not be sent again. Which lines were rejected is not said.
		return partly{int(min(n, int64(len(lines)))), fault.Clip(why)}
	}
	return nil
}

// export is an ExportLogsServiceRequest, whose fields are those of LogsData. A function's version, on one instance, is a resource.
func export(lines []Line) *logspb.LogsData {
	type source struct {
		function, instance string
		version            int
	}
	out := &logspb.LogsData{}
	scopes := map[source]*logspb.ScopeLogs{}
	for i := range lines {
		l := &lines[i]
		from := source{l.Function, l.Instance, l.Version}
		scope := scopes[from]
		if scope == nil {
			scope = &logspb.ScopeLogs{Scope: &commonpb.InstrumentationScope{Name: "dalamb"}}
			scopes[from] = scope
			out.ResourceLogs = append(out.ResourceLogs, &logspb.ResourceLogs{
				Resource: &resourcepb.Resource{Attributes: []*commonpb.KeyValue{
					attribute("service.name", l.Function), attribute("service.version", strconv.Itoa(l.Version)), attribute("service.instance.id", l.Instance),
				}},
				ScopeLogs: []*logspb.ScopeLogs{scope},
			})
		}
		scope.LogRecords = append(scope.LogRecords, record(l))
	}
	return out
}

// record: OpenTelemetry's log data model; names of attributes by its semantic conventions.
func record(l *Line) *logspb.LogRecord {
	at := uint64(max(0, l.Time.UnixNano()))
	r := &logspb.LogRecord{
		TimeUnixNano: at, ObservedTimeUnixNano: at, SeverityNumber: number(l.Said.Level), SeverityText: strings.ToUpper(string(l.Said.Level)),
		Body:       text(l.Said.Message),
		Attributes: []*commonpb.KeyValue{attribute("log.record.uid", l.ID), attribute("log.iostream", l.Stream)},
	}
	if l.Run != "" {
		r.Attributes = append(r.Attributes, attribute("faas.invocation_id", l.Run))
	}
	for _, f := range l.Said.Fields {
		var v any
		if json.Unmarshal(f.Value, &v) != nil {
			continue
		}
		r.Attributes = append(r.Attributes, &commonpb.KeyValue{Key: strings.ToValidUTF8(f.Name, "\ufffd"), Value: value(v)})
	}
	if l.Dropped > 0 {
		r.Attributes = append(r.Attributes, &commonpb.KeyValue{Key: "dalamb.dropped", Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: int64(l.Dropped)}}})
	}
	return r
}

// number: the first of the four numbers that each level has in the log data model.
func number(l function.LogLevel) logspb.SeverityNumber {
	switch l {
	case function.LogTrace:
		return logspb.SeverityNumber_SEVERITY_NUMBER_TRACE
	case function.LogDebug:
		return logspb.SeverityNumber_SEVERITY_NUMBER_DEBUG
	case function.LogWarn:
		return logspb.SeverityNumber_SEVERITY_NUMBER_WARN
	case function.LogError:
		return logspb.SeverityNumber_SEVERITY_NUMBER_ERROR
	case function.LogFatal:
		return logspb.SeverityNumber_SEVERITY_NUMBER_FATAL
	}
	return logspb.SeverityNumber_SEVERITY_NUMBER_INFO
}

func attribute(name, v string) *commonpb.KeyValue {
	return &commonpb.KeyValue{Key: name, Value: text(v)}
}

func text(s string) *commonpb.AnyValue {
	return &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: strings.ToValidUTF8(s, "\ufffd")}}
}

// value is a value of JSON in OTLP's words.
func value(v any) *commonpb.AnyValue {
	switch v := v.(type) {
	case string:
		return text(v)
	case bool:
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_BoolValue{BoolValue: v}}
	case float64:
		if whole := int64(v); float64(whole) == v && whole > -1<<53 && whole < 1<<53 {
			return &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: whole}}
		}
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_DoubleValue{DoubleValue: v}}
	case []any:
		list := &commonpb.ArrayValue{}
		for _, item := range v {
			list.Values = append(list.Values, value(item))
		}
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_ArrayValue{ArrayValue: list}}
	case map[string]any:
		m := &commonpb.KeyValueList{}
		for name, item := range v {
			m.Values = append(m.Values, &commonpb.KeyValue{Key: strings.ToValidUTF8(name, "\ufffd"), Value: value(item)})
		}
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_KvlistValue{KvlistValue: m}}
	}
	return &commonpb.AnyValue{}
}

// rejected reads an ExportLogsServiceResponse: its field 1 is a partial success, whose field 1 is how many records were rejected and whose
// field 2 says why. What is no such message says nothing.
func rejected(answer []byte) (n int64, why string) {
	each(answer, func(field protowire.Number, v []byte, _ uint64) {
		if field != 1 {
			return
		}
		each(v, func(field protowire.Number, v []byte, i uint64) {
			switch field {
			case 1:
				n = int64(i)
			case 2:
				why = string(v)
			}
		})
	})
	return n, why
}

// each gives the fields of a message that are bytes or whole numbers.
func each(b []byte, field func(n protowire.Number, bytes []byte, number uint64)) {
	for len(b) > 0 {
		n, typ, size := protowire.ConsumeTag(b)
		if size < 0 {
			return
		}
		b = b[size:]
		var v []byte
		var i uint64
		switch typ {
		case protowire.BytesType:
			v, size = protowire.ConsumeBytes(b)
		case protowire.VarintType:
			i, size = protowire.ConsumeVarint(b)
		default:
			size = protowire.ConsumeFieldValue(n, typ, b)
		}
		if size < 0 {
			return
		}
		field(n, v, i)
		b = b[size:]
	}
}
