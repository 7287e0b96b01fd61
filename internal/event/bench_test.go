package event

import (
	"testing"
	"time"
)

// sample is what dispatch meets: 512 bytes of data, the extensions of a chain.
func sample() *Event {
	data := append([]byte(`{"order":"`), make([]byte, 500)...)
	for i := 10; i < len(data); i++ {
		data[i] = 'x'
	}
	return &Event{
		ID: "01936f1e-9f1c-7a30-8f14-2c7e5f0c9a11", Source: "/shop/checkout", Type: "order.validated", Subject: "order-4711",
		Time: time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC), DataContentType: "application/json", Data: append(data, `"}`...),
		Extensions: map[string]any{
			ExtPartitionKey: "customer-42", ExtCorrelationID: "01936f1e-9f1c-7a30-8f14-2c7e5f0c9a00",
			ExtCausationID: "01936f1e-9f1c-7a30-8f14-2c7e5f0c9a01", ExtHops: int32(2),
		},
	}
}

func BenchmarkFromRecord(b *testing.B) {
	key, value, headers := sample().ToRecord()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := FromRecord(key, value, headers); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkToRecord(b *testing.B) {
	e := sample()
	b.ReportAllocs()
	for b.Loop() {
		e.ToRecord()
	}
}

func BenchmarkMarshalJSON(b *testing.B) {
	e := sample()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.MarshalJSON(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUnmarshalJSON(b *testing.B) {
	text, err := sample().MarshalJSON()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := new(Event).UnmarshalJSON(text); err != nil {
			b.Fatal(err)
		}
	}
}
