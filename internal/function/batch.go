package function

import "time"

// Batch lets one invocation take several events of a trigger. Zero means one event at a time.
type Batch struct {
	Size    int      `json:"size"`    // events at most
	Window  Duration `json:"window"`  // how long the first one waits for others
	Bytes   Bytes    `json:"bytes"`   // of the events as the log has them; one that is larger goes alone
	OnError OnError  `json:"onError"` // when the function fails with the batch as a whole
}

// OnError is what becomes of a batch that failed as a whole.
type OnError string

const (
	OnErrorBisect     OnError = "bisect"      // its halves are tried, down to single events; a split does not count as an attempt
	OnErrorRetry      OnError = "retry"       // all of it is tried again
	OnErrorDeadLetter OnError = "dead-letter" // every event of it is a dead letter at once
)

// Payload is the form in which a function gets events.
type Payload string

const (
	PayloadKafka       Payload = "aws-kafka"       // as AWS Lambda gives records of Amazon MSK
	PayloadSQS         Payload = "aws-sqs"         // as AWS Lambda gives messages of Amazon SQS
	PayloadEventBridge Payload = "aws-eventbridge" // as Amazon EventBridge gives an event; of a batch, an array of them
)

func onErrors() []OnError { return []OnError{OnErrorBisect, OnErrorRetry, OnErrorDeadLetter} }
func payloads() []Payload { return []Payload{PayloadKafka, PayloadSQS, PayloadEventBridge} }

func defaultBatch() Batch { return Batch{Size: 100, Bytes: 4 << 20, OnError: OnErrorBisect} }

func batchValue() value[Batch] {
	return object(nil,
		field("size", "Events at most. Default: 100.", whole(), func(b *Batch) *int { return &b.Size }),
		field("window", "How long the first event waits for others, where there are fewer than size. Default: 0s: what is ready goes.", duration(), func(b *Batch) *Duration { return &b.Window }),
		field("bytes", "Size of the events as the log has them; a larger event goes alone. Default: 4Mi.", size(), func(b *Batch) *Bytes { return &b.Bytes }),
		field("onError", "When the function fails with the whole batch. bisect: its halves are tried, down to single events, and the splits do not count as attempts. retry: all of it is tried again. dead-letter: its events are dead letters at once. Default: bisect.", text(onErrors()...), func(b *Batch) *OnError { return &b.OnError }),
	)
}

func (c *checker) batch(at string, t *Trigger) {
	c.rule(at, t)
	if t.Payload != "" {
		oneOf(c, at+".payload", t.Payload, payloads())
	}
	b := t.Batch
	if b == nil {
		return
	}
	between(c.at(at+".batch.size"), b.Size, 1, 10000)
	between(c.at(at+".batch.window"), b.Window, 0, Duration(5*time.Minute))
	between(c.at(at+".batch.bytes"), b.Bytes, 1<<10, 6<<20)
	oneOf(c, at+".batch.onError", b.OnError, onErrors())
}
