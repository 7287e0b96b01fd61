package aws

import (
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// mappingRequest is AWS's CreateEventSourceMapping and UpdateEventSourceMapping. What is absent of an update stays as it is.
type mappingRequest struct {
	FunctionName                   string
	Enabled                        *bool
	Topics                         []string
	SelfManagedEventSource         *eventSource
	StartingPosition               string
	StartingPositionTimestamp      *float64
	BatchSize                      *int
	MaximumBatchingWindowInSeconds *int
	BisectBatchOnFunctionError     *bool
	MaximumRetryAttempts           *int
	MaximumRecordAgeInSeconds      *int
	DestinationConfig              *struct{ OnSuccess, OnFailure *destination }
	FilterCriteria                 *filterCriteria
	ScalingConfig                  *scaling
	FunctionResponseTypes          []string

	// Of these none is taken.
	EventSourceArn             string
	SourceAccessConfigurations []any
	Queues                     []string
}

// trigger changes a trigger into what is asked for.
func (req *mappingRequest) trigger(t *function.Trigger) error {
	batch := *t.Batch
	if req.BatchSize != nil {
		batch.Size = *req.BatchSize
	}
	if req.MaximumBatchingWindowInSeconds != nil {
		batch.Window = seconds(*req.MaximumBatchingWindowInSeconds)
	}
	if req.BisectBatchOnFunctionError != nil {
		batch.OnError = function.OnErrorRetry
		if *req.BisectBatchOnFunctionError {
			batch.OnError = function.OnErrorBisect
		}
	}
	t.Batch = &batch
	if req.MaximumRetryAttempts != nil {
		t.Retry.Attempts = *req.MaximumRetryAttempts + 1
	}
	if req.MaximumRecordAgeInSeconds != nil {
		t.Retry.MaxAge = seconds(*req.MaximumRecordAgeInSeconds)
	}
	if req.ScalingConfig != nil {
		t.Concurrency = req.ScalingConfig.MaximumConcurrency
	}
	var err error
	if req.DestinationConfig != nil && req.DestinationConfig.OnFailure != nil {
		if t.OnFailure, err = req.DestinationConfig.OnFailure.read(); err != nil {
			return err
		}
	}
	if req.FilterCriteria != nil {
		t.Filter, err = req.FilterCriteria.pattern()
	}
	return err
}

func seconds(n int) function.Duration { return function.Duration(time.Duration(n) * time.Second) }

// start is where a new mapping begins.
func (req *mappingRequest) start() (function.Start, error) {
	switch {
	case req.StartingPosition == "LATEST", req.StartingPosition == "":
		return function.StartLatest, nil
	case req.StartingPosition == "TRIM_HORIZON":
		return function.StartEarliest, nil
	case req.StartingPosition == "AT_TIMESTAMP" && req.StartingPositionTimestamp != nil:
		at := time.UnixMilli(int64(*req.StartingPositionTimestamp * 1000)).UTC()
		return function.Start(at.Format(time.RFC3339)), nil
	}
	return "", badValue("StartingPosition: %q is not LATEST, TRIM_HORIZON, or AT_TIMESTAMP with a StartingPositionTimestamp", fault.Clip(req.StartingPosition))
}
