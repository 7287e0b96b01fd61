package entry

import (
	"math"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// The records of platform events. AWS Lambda developer guide, "Lambda Telemetry API Event schema reference", version 2022-12-13. A record's
// old gives the type and shape that the Logs API has; "" = none.

type initStartRecord struct {
	Initialization string `json:"initializationType"`
	Phase          string `json:"phase"`
	Function       string `json:"functionName"`
	Version        string `json:"functionVersion"`
	Instance       string `json:"instanceId"`
	MemoryBytes    int64  `json:"instanceMaxMemory"`
}

func (initStartRecord) old() (string, any) { return "", nil }

type initDoneRecord struct {
	Initialization string `json:"initializationType"`
	Phase          string `json:"phase"`
	Status         string `json:"status"`
}

func (initDoneRecord) old() (string, any) { return "", nil }

type initReportRecord struct {
	Initialization string     `json:"initializationType"`
	Phase          string     `json:"phase"`
	Status         string     `json:"status"`
	Metrics        durationMs `json:"metrics"`
}

func (initReportRecord) old() (string, any) { return "", nil }

type durationMs struct {
	Duration float64 `json:"durationMs"`
}

// extensionRecord is the same in both APIs.
type extensionRecord struct {
	Name   string   `json:"name"`
	State  string   `json:"state"`
	Events []string `json:"events"`
}

type subscriptionRecord struct {
	Name  string `json:"name"`
	State string `json:"state"`
	Types []kind `json:"types"`
}

type droppedRecord struct {
	Reason  string `json:"reason"`
	Records int    `json:"droppedRecords"`
	Bytes   int    `json:"droppedBytes"`
}

// encodeDropped tells how much an extension has lost, by the same word in both APIs.
func encodeDropped(at time.Time, records, bytes int) []byte {
	return encodeRecord(at, "platform.logsDropped", droppedRecord{
		Reason: "Consumer seems to have fallen behind as it has not acknowledged receipt of logs.", Records: records, Bytes: bytes})
}

type startRecord struct {
	RequestID string         `json:"requestId"`
	Version   string         `json:"version"`
	Tracing   *tracingRecord `json:"tracing,omitempty"`
}

func (r startRecord) old() (string, any) {
	return "start", startRecord{RequestID: r.RequestID, Version: r.Version}
}

type doneRecord struct {
	RequestID string         `json:"requestId"`
	Status    string         `json:"status"`
	ErrorType string         `json:"errorType,omitempty"`
	Metrics   doneMetrics    `json:"metrics"`
	Tracing   *tracingRecord `json:"tracing,omitempty"`
}

type doneMetrics struct {
	Duration float64 `json:"durationMs"`
	Produced int64   `json:"producedBytes"`
}

func (r doneRecord) old() (string, any) {
	return "runtimeDone", struct {
		RequestID string `json:"requestId"`
		Status    string `json:"status"`
	}{r.RequestID, r.Status}
}

type reportRecord struct {
	RequestID string         `json:"requestId"`
	Status    string         `json:"status"`
	ErrorType string         `json:"errorType,omitempty"`
	Metrics   reportMetrics  `json:"metrics"`
	Tracing   *tracingRecord `json:"tracing,omitempty"`
}

type reportMetrics struct {
	Duration float64 `json:"durationMs"`
	Billed   int64   `json:"billedDurationMs"`
	Memory   int64   `json:"memorySizeMB"`
	Used     int64   `json:"maxMemoryUsedMB"`
}

func (r reportRecord) old() (string, any) {
	return "report", struct {
		RequestID string        `json:"requestId"`
		Metrics   reportMetrics `json:"metrics"`
	}{r.RequestID, r.Metrics}
}

func milliseconds(d time.Duration) float64 {
	return math.Round(float64(d)/float64(time.Microsecond)) / 1000
}

// statusOf is AWS's word for an outcome.
func statusOf(o function.Outcome) string {
	switch o {
	case function.Succeeded:
		return "success"
	case function.TimedOut:
		return "timeout"
	case function.Failed, function.BadAnswer:
		return "error"
	}
	return "failure"
}

func errorType(r *function.Result) string {
	if r.Failure == nil {
		return ""
	}
	return r.Failure.Type
}

func (c *lambdaConn) runtimeDone(call *lambdaCall, r *function.Result) doneRecord {
	return doneRecord{
		RequestID: call.id, Status: statusOf(r.Outcome), ErrorType: errorType(r), Tracing: tracing(call.inv.TraceParent),
		Metrics: doneMetrics{Duration: milliseconds(r.Duration), Produced: max(int64(len(r.Body)), r.Streamed)},
	}
}

// report is what an invocation took, extensions included.
func (c *lambdaConn) report(call *lambdaCall) reportRecord {
	took := c.entries.Now().Sub(call.start)
	return reportRecord{
		RequestID: call.id, Status: statusOf(call.outcome), ErrorType: call.errorType, Tracing: tracing(call.inv.TraceParent),
		Metrics: reportMetrics{
			Duration: milliseconds(took), Billed: int64((took + time.Millisecond - 1) / time.Millisecond),
			Memory: int64(c.start.Version.Spec.Resources.Memory) >> 20, Used: c.memoryKB() >> 10,
		},
	}
}
