package payload

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/function"
)

func items() []Item {
	at := time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC)
	one := &event.Event{
		ID: "o-1", Source: "/shop", Type: "order.created", Subject: "s", Time: at, DataContentType: "application/json", Data: []byte(`{"a":1}`),
		Extensions: map[string]any{event.ExtPartitionKey: "clé"},
	}
	two := &event.Event{ID: "o-2", Source: "/shop", Type: "blob", DataContentType: "application/octet-stream", Data: []byte{0, 0xff}}
	return []Item{
		{Event: one, Ref: function.EventRef{Topic: "events", Partition: 3, Offset: 7}, Appended: at, Run: "run-1", Attempt: 2, Ordered: true},
		{Event: two, Ref: function.EventRef{Topic: "events", Partition: 3, Offset: 9}, Appended: at, Run: "run-2", Attempt: 1, Ordered: true},
	}
}

func encode(t *testing.T, f Form, items []Item, into any) {
	t.Helper()
	b, mediaType, err := f.Encode(items)
	if err != nil || mediaType != "application/json" {
		t.Fatalf("Encode = %s, %v", mediaType, err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		t.Fatalf("AWS's own type cannot read %s: %v", b, err)
	}
}

func TestABatchIsCloudEventsBatchFormat(t *testing.T) {
	in := items()
	b, mediaType, err := Form{Batch: true}.Encode(in)
	if err != nil || mediaType != event.ContentTypeBatch {
		t.Fatalf("Encode = %s, %v", mediaType, err)
	}
	got, err := event.DecodeBatch(b)
	if err != nil || len(got) != 2 || got[0].ID != "o-1" || !bytes.Equal(got[1].Data, in[1].Event.Data) {
		t.Errorf("the batch reads as %v, %v", got, err)
	}
}

func TestKafkaShape(t *testing.T) {
	var k events.KafkaEvent
	encode(t, Form{Payload: function.PayloadKafka}, items(), &k)
	rs := k.Records["events-3"]
	if k.EventSource != "aws:kafka" || len(rs) != 2 {
		t.Fatalf("event of %s with records %v", k.EventSource, k.Records)
	}
	r := rs[0]
	if r.Topic != "events" || r.Partition != 3 || r.Offset != 7 || r.Key != "Y2zDqQ==" || r.Value != "eyJhIjoxfQ==" || r.Timestamp.UnixMilli() != 1795253400000 {
		t.Errorf("record = %+v", r)
	}
	header := ""
	for _, h := range r.Headers {
		header += string(h["ce_type"]) + string(h["ce_partitionkey"])
	}
	if header != "order.createdclé" {
		t.Errorf("headers say %q: %v", header, r.Headers)
	}
}

// TestKafkaShapeOfOtherSoftware gives a handler that was written for a topic of that software what is in the topic.
func TestKafkaShapeOfOtherSoftware(t *testing.T) {
	f := event.Foreign{Topic: "payments", Partition: 3, Offset: 7, Key: []byte{0xff}, Value: []byte(`{"a":1}`), Headers: []event.Header{{Name: "trace", Value: []byte("x")}}}
	it := items()[:1]
	it[0].Event = f.Event()
	var k events.KafkaEvent
	encode(t, Form{Payload: function.PayloadKafka}, it, &k)
	rs := k.Records["events-3"]
	if len(rs) != 1 || rs[0].Key != "/w==" || rs[0].Value != "eyJhIjoxfQ==" || len(rs[0].Headers) != 1 || string(rs[0].Headers[0]["trace"]) != "x" {
		t.Errorf("records = %+v, want the record as it was written", rs)
	}
}

func TestSQSShape(t *testing.T) {
	var s events.SQSEvent
	encode(t, Form{Payload: function.PayloadSQS, Batch: true}, items(), &s)
	m := s.Records[0]
	if m.MessageId != "run-1" || m.Body != `{"a":1}` || m.Md5OfBody != "bb6cb5c68df4652941caf652a366f2d8" || m.EventSource != "aws:sqs" {
		t.Errorf("message = %+v", m)
	}
	if m.Attributes["ApproximateReceiveCount"] != "2" || m.Attributes["MessageGroupId"] != "clé" || m.Attributes["SentTimestamp"] != "1795253400000" {
		t.Errorf("attributes = %v", m.Attributes)
	}
	if a := m.MessageAttributes["ce_type"]; a.StringValue == nil || *a.StringValue != "order.created" || a.DataType != "String" {
		t.Errorf("message attributes = %v", m.MessageAttributes)
	}
	if other := s.Records[1]; other.Body != "AP8=" || other.Attributes["MessageGroupId"] != "" {
		t.Errorf("message = %+v", other)
	}
}

func TestEventBridgeShape(t *testing.T) {
	var one events.EventBridgeEvent
	encode(t, Form{Payload: function.PayloadEventBridge}, items()[:1], &one)
	if one.DetailType != "order.created" || one.Source != "/shop" || string(one.Detail) != `{"a":1}` || one.ID != "o-1" || !slices.Equal(one.Resources, []string{"s"}) {
		t.Errorf("event = %+v", one)
	}
	var all []events.EventBridgeEvent
	encode(t, Form{Payload: function.PayloadEventBridge, Batch: true}, items(), &all)
	if len(all) != 2 || string(all[1].Detail) != `"AP8="` || all[1].Time.IsZero() {
		t.Errorf("events = %+v", all)
	}
}

func TestItemFailures(t *testing.T) {
	plain, kafka, sqs := Form{Batch: true}, Form{Payload: function.PayloadKafka}, Form{Payload: function.PayloadSQS, Batch: true}
	whole := "whole"
	for _, c := range []struct {
		name   string
		form   Form
		answer string
		want   string // which events failed, or whole
	}{
		{"nothing", plain, ``, ""},
		{"null", plain, `null`, ""},
		{"something else", plain, `{"ok":true}`, ""},
		{"no JSON", plain, `"batchItemFailures" is what AWS calls it`, ""},
		{"deeper inside", plain, `{"a":{"batchItemFailures":[{"itemIdentifier":"o-1"}]}}`, ""},
		{"empty list", plain, `{"batchItemFailures":[]}`, ""},
		{"null list", plain, `{"batchItemFailures":null}`, ""},
		{"one", plain, `{"batchItemFailures":[{"itemIdentifier":"o-2"}]}`, "2"},
		{"one twice", plain, `{"batchItemFailures":[{"itemIdentifier":"o-2"},{"itemIdentifier":"o-2"}]}`, "2"},
		{"all", plain, `{"batchItemFailures":[{"itemIdentifier":"o-2"},{"itemIdentifier":"o-1"}]}`, "12"},
		{"empty identifier", plain, `{"batchItemFailures":[{"itemIdentifier":""}]}`, whole},
		{"null identifier", plain, `{"batchItemFailures":[{"itemIdentifier":null}]}`, whole},
		{"bad key name", plain, `{"batchItemFailures":[{"id":"o-1"}]}`, whole},
		{"unknown", plain, `{"batchItemFailures":[{"itemIdentifier":"o-1"},{"itemIdentifier":"x"}]}`, whole},
		{"no list", plain, `{"batchItemFailures":"o-1"}`, whole},
		{"message id", sqs, `{"batchItemFailures":[{"itemIdentifier":"run-1"}]}`, "1"},
		{"event id for SQS", sqs, `{"batchItemFailures":[{"itemIdentifier":"o-1"}]}`, whole},
		{"Kafka", kafka, `{"batchItemFailures":[{"itemIdentifier":{"partition":"events-3","offset":9}}]}`, "2"},
		{"Kafka as text", kafka, `{"batchItemFailures":[{"itemIdentifier":"events-3-7"}]}`, "1"},
		{"Kafka without offset", kafka, `{"batchItemFailures":[{"itemIdentifier":{"partition":"events-3"}}]}`, whole},
		{"not asked for", Form{}, `{"batchItemFailures":[{"itemIdentifier":"o-1"}]}`, ""},
	} {
		failed, err := c.form.ItemFailures(items(), []byte(c.answer))
		got := ""
		for i, f := range failed {
			if f {
				got += string(rune('1' + i))
			}
		}
		if err != nil {
			got = whole
		}
		if got != c.want {
			t.Errorf("%s: %s failed (%v), want %s", c.name, got, err, c.want)
		}
	}
}

// FuzzItemFailures: whatever a function answers, it names events of the batch or nothing.
func FuzzItemFailures(f *testing.F) {
	f.Add(`{"batchItemFailures":[{"itemIdentifier":"o-2"}]}`, "")
	f.Add(`{"batchItemFailures":[{"itemIdentifier":{"partition":"events-3","offset":9}}]}`, "aws-kafka")
	f.Add(`{"batchItemFailures":[{"itemIdentifier":null},{}]}`, "aws-sqs")
	f.Fuzz(func(t *testing.T, answer, form string) {
		in := items()
		failed, err := Form{Payload: function.Payload(form), Batch: true}.ItemFailures(in, []byte(answer))
		if failed != nil && (len(failed) != len(in) || !slices.Contains(failed, true) || err != nil) {
			t.Errorf("ItemFailures(%q) = %v, %v", answer, failed, err)
		}
	})
}

func TestEventBridgeShapeOfATickAndOfAReplay(t *testing.T) {
	at := time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC)
	tick := items()[0]
	tick.Event = &event.Event{ID: "t", Source: "/dalamb/schedules", Type: event.TypeScheduleTicked, Subject: "report/nightly", Time: at, Data: []byte(`{"missed":1}`)}
	var one events.EventBridgeEvent
	encode(t, Form{Payload: function.PayloadEventBridge, Rule: "arn:aws:events:us-east-1:000000000000:rule/nightly"}, []Item{tick}, &one)
	if one.DetailType != "Scheduled Event" || one.Source != "aws.events" || string(one.Detail) != "{}" || !slices.Equal(one.Resources, []string{"arn:aws:events:us-east-1:000000000000:rule/nightly"}) || !one.Time.Equal(at) {
		t.Errorf("tick = %+v", one)
	}
	again := items()[0]
	again.Event.Extensions[event.ExtReplay] = "check-1"
	again.Event.Extensions[event.ExtResources] = `["a","b"]`
	var replayed struct {
		events.EventBridgeEvent
		Replay string `json:"replay-name"`
	}
	encode(t, Form{Payload: function.PayloadEventBridge}, []Item{again}, &replayed)
	if replayed.Replay != "check-1" || !slices.Equal(replayed.Resources, []string{"s", "a", "b"}) {
		t.Errorf("replayed = %+v", replayed)
	}
}
