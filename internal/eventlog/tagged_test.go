package eventlog_test

import (
	"testing"

	"github.com/dalamb/dalamb/internal/eventlog"
)

func TestDecodeTaggedTakesWhatEncodeTaggedWroteAndNothingElse(t *testing.T) {
	type state struct{ Next int64 }
	value, err := eventlog.EncodeTagged(3, state{7})
	if err != nil {
		t.Fatalf("EncodeTagged() = %v", err)
	}
	var got state
	if err := eventlog.DecodeTagged(value, 3, &got); err != nil || got.Next != 7 {
		t.Errorf("DecodeTagged(%q) = %+v, %v, want 7", value, got, err)
	}
	for name, bad := range map[string]string{
		"nothing": "", "another format": "\x04{}", "a field of a newer version": "\x03{\"More\":1}",
		"half of it": "\x03{\"Next\":", "something behind it": "\x03{}{}", "the tag alone": "\x03",
	} {
		if err := eventlog.DecodeTagged([]byte(bad), 3, &state{}); err == nil {
			t.Errorf("%s: DecodeTagged(%q) = nil, want an error", name, bad)
		}
	}
}
