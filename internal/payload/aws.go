package payload

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/dalamb/dalamb/internal/event"
)

// What AWS's shapes name that dalamb has not.
const (
	account = "000000000000"
	region  = "us-east-1" // what functions are told as AWS_REGION, too
)

// kafkaEvent is what AWS Lambda gives for Amazon MSK. AWS Lambda developer guide, "Example event" of MSK event sources.
type kafkaEvent struct {
	EventSource      string                   `json:"eventSource"`
	EventSourceARN   string                   `json:"eventSourceArn"`
	BootstrapServers string                   `json:"bootstrapServers"`
	Records          map[string][]kafkaRecord `json:"records"` // by topic-partition
}

type kafkaRecord struct {
	Topic         string              `json:"topic"`
	Partition     int32               `json:"partition"`
	Offset        int64               `json:"offset"`
	Timestamp     int64               `json:"timestamp"` // milliseconds since 1970
	TimestampType string              `json:"timestampType"`
	Key           []byte              `json:"key,omitempty"` // base64, as is value
	Value         []byte              `json:"value,omitempty"`
	Headers       []map[string]signed `json:"headers"`
}

// signed is written as AWS does it in headers: an array of signed numbers.
type signed []byte

func (b signed) MarshalJSON() ([]byte, error) {
	numbers := make([]int8, len(b))
	for i, c := range b {
		numbers[i] = int8(c)
	}
	return json.Marshal(numbers)
}

// kafkaEventOf gives each event as the record that it is in binary mode of the CloudEvents Kafka binding, and what other software wrote as
// it wrote it.
func kafkaEventOf(items []Item) kafkaEvent {
	first := &items[0]
	k := kafkaEvent{
		EventSource: "aws:kafka", EventSourceARN: fmt.Sprintf("arn:aws:kafka:%s:%s:cluster/dalamb/%s", region, account, first.Ref.Topic),
		Records: map[string][]kafkaRecord{},
	}
	for i := range items {
		it := &items[i]
		key, value, headers := recordOf(it.Event)
		r := kafkaRecord{
			Topic: it.Ref.Topic, Partition: it.Ref.Partition, Offset: it.Ref.Offset, Timestamp: it.Appended.UnixMilli(),
			TimestampType: "LOG_APPEND_TIME", Key: key, Value: value, Headers: make([]map[string]signed, len(headers)),
		}
		for j, h := range headers {
			r.Headers[j] = map[string]signed{h.Name: h.Value}
		}
		place := it.topicPartition()
		k.Records[place] = append(k.Records[place], r)
	}
	return k
}

func recordOf(e *event.Event) (key, value []byte, headers []event.Header) {
	if f, ok := event.ForeignOf(e); ok {
		return f.Key, f.Value, f.Headers
	}
	return e.ToRecord()
}

func (it *Item) topicPartition() string { return fmt.Sprintf("%s-%d", it.Ref.Topic, it.Ref.Partition) }

// sqsEvent is what AWS Lambda gives for Amazon SQS. AWS Lambda developer guide, "Example Amazon SQS message event".
type sqsEvent struct {
	Records []sqsMessage `json:"Records"`
}

type sqsMessage struct {
	MessageID         string                  `json:"messageId"`
	ReceiptHandle     string                  `json:"receiptHandle"`
	Body              string                  `json:"body"`
	Attributes        map[string]string       `json:"attributes"`
	MessageAttributes map[string]sqsAttribute `json:"messageAttributes"`
	MD5OfBody         string                  `json:"md5OfBody"`
	EventSource       string                  `json:"eventSource"`
	EventSourceARN    string                  `json:"eventSourceARN"`
	AWSRegion         string                  `json:"awsRegion"`
}

type sqsAttribute struct {
	StringValue      string   `json:"stringValue"`
	StringListValues []string `json:"stringListValues"`
	BinaryListValues []string `json:"binaryListValues"`
	DataType         string   `json:"dataType"`
}

// sqsEventOf gives each event's data as a message's body and its attributes as message attributes, named as in the CloudEvents
// Kafka binding. A message's id is its run's: the same for every attempt.
func sqsEventOf(items []Item) sqsEvent {
	all := make([]sqsMessage, len(items))
	for i := range items {
		it := &items[i]
		_, value, headers := it.Event.ToRecord()
		m := sqsMessage{
			MessageID: it.Run, ReceiptHandle: fmt.Sprintf("%s.%d", it.Run, it.Attempt), Body: text(value),
			EventSource: "aws:sqs", EventSourceARN: fmt.Sprintf("arn:aws:sqs:%s:%s:%s", region, account, it.Ref.Topic), AWSRegion: region,
			MessageAttributes: make(map[string]sqsAttribute, len(headers)),
		}
		m.MD5OfBody = hash(m.Body)
		sent := fmt.Sprint(it.Appended.UnixMilli())
		m.Attributes = map[string]string{
			"ApproximateReceiveCount": fmt.Sprint(it.Attempt), "SentTimestamp": sent, "ApproximateFirstReceiveTimestamp": sent,
			"SenderId": it.Event.Source,
		}
		if key := it.Event.Key(); it.Ordered && key != "" {
			m.Attributes["MessageGroupId"] = key
			m.Attributes["MessageDeduplicationId"] = it.Event.ID
			m.Attributes["SequenceNumber"] = fmt.Sprintf("%020d", it.Ref.Offset)
		}
		for _, h := range headers {
			m.MessageAttributes[h.Name] = sqsAttribute{
				StringValue: string(h.Value), StringListValues: []string{}, BinaryListValues: []string{}, DataType: "String",
			}
		}
		all[i] = m
	}
	return sqsEvent{Records: all}
}

func hash(body string) string {
	sum := md5.Sum([]byte(body)) // which is what the field is, whatever MD5 is worth
	return hex.EncodeToString(sum[:])
}

// text is data as it stands when it is text, else in base64: a message's body is text.
func text(data []byte) string {
	if utf8.Valid(data) {
		return string(data)
	}
	return base64.StdEncoding.EncodeToString(data)
}

// bridgeEvent is an event of Amazon EventBridge. EventBridge user guide, "Event structure".
type bridgeEvent struct {
	Version    string          `json:"version"`
	ID         string          `json:"id"`
	DetailType string          `json:"detail-type"`
	Source     string          `json:"source"`
	Account    string          `json:"account"`
	Time       string          `json:"time"`
	Region     string          `json:"region"`
	Resources  []string        `json:"resources"`
	Detail     json.RawMessage `json:"detail"`
	Replay     string          `json:"replay-name,omitempty"`
}

func (f Form) bridgeEvent(it *Item) bridgeEvent {
	e := it.Event
	at := e.Time
	if at.IsZero() {
		at = it.Appended
	}
	b := bridgeEvent{
		Version: "0", ID: e.ID, DetailType: e.Type, Source: e.Source, Account: account, Time: at.UTC().Format(time.RFC3339),
		Region: region, Resources: event.ResourcesOf(e), Detail: detail(e),
	}
	b.Replay, _ = e.Extensions[event.ExtReplay].(string)
	if e.Type == event.TypeScheduleTicked {
		// EventBridge user guide, "Creating a rule that runs on a schedule": the rule is the resource, and there is no detail.
		b.DetailType, b.Source, b.Detail = "Scheduled Event", "aws.events", json.RawMessage("{}")
		if f.Rule != "" {
			b.Resources = []string{f.Rule}
		}
	}
	return b
}

// detail is data that is JSON as it stands, any other as text.
func detail(e *event.Event) json.RawMessage {
	switch {
	case e.Data == nil:
		return json.RawMessage("{}")
	case e.IsJSON() && utf8.Valid(e.Data) && json.Valid(e.Data):
		return e.Data
	}
	quoted, err := json.Marshal(text(e.Data))
	if err != nil {
		return json.RawMessage("{}") // a string always encodes
	}
	return quoted
}
