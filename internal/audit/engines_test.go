package audit

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/enginetest"
)

// The offsets of a log may have gaps, as those of Kafka's transactions have, and its topics ids of another form. DALAMB_TEST_KAFKA=host:port runs this on brokers.
func TestBothEngines(t *testing.T) {
	log, err := enginetest.Open(enginetest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	dir, file := filepath.Join(t.TempDir(), "data", "audit"), filepath.Join(t.TempDir(), "checkpoints")
	if err := log.CreateTopic(t.Context(), eventlog.Topic{Name: "orders", Partitions: 2}); err != nil {
		t.Fatal(err)
	}
	var all []eventlog.Position
	for round := range 3 {
		outside, err := File(file, dir)
		if err != nil {
			t.Fatal(err)
		}
		keep, err := New(Options{Log: log, Dir: dir, Outside: outside})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			var rs []eventlog.Record
			for j := range 3 { // several partitions at once: on Kafka a transaction, whose end takes an offset
				e := &event.Event{ID: fmt.Sprintf("%d-%d-%d", round, i, j), Source: "/till", Type: "order.paid", Subject: fmt.Sprint(i, j), Data: []byte(`{}`), DataContentType: "application/json"}
				rs = append(rs, eventlog.FromEvent("orders", e))
			}
			at, err := log.Append(t.Context(), rs)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, at...)
		}
		if err := turn(t.Context(), keep); err != nil || keep.trouble != nil {
			t.Fatalf("round: %v, %v", err, keep.trouble)
		}
		for _, at := range all {
			p, err := keep.Prove(t.Context(), at)
			if err != nil {
				t.Fatalf("Prove(%+v): %v", at, err)
			}
			if _, err := Check(p, keep.check); err != nil || p.Record == nil {
				t.Fatalf("the proof of %+v: %v", at, err)
			}
		}
	}
	outside, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	report, err := Verify(t.Context(), VerifyOptions{Log: log, Dir: dir, Outside: outside, From: file})
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Findings) > 0 || report.Records < int64(len(all)) || report.Checkpoints != 3 {
		t.Errorf("report = %+v, want %d records as they were in 3 checkpoints", report, len(all))
	}
}
