package disk

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
)

func encode(r *eventlog.Record, at, mark int64, stamped bool) []byte {
	b := make([]byte, recordSize(r))
	putRecord(b, r, at, mark, stamped)
	return b
}

// The bytes of format 1. A change here is a new format: raise formatVersion, and say what becomes of old directories.
func TestRecordFormat(t *testing.T) {
	r := eventlog.Record{Key: []byte("k"), Value: []byte("v"), Headers: []eventlog.Header{{Name: "n", Value: []byte("w")}}}
	want := "\x01\x0f" + "\x00\x00\x00\x00\x00\x00\x00\x05" + "\x00\x00\x00\x00\x00\x00\x00\x09" + "\x01k" + "\x01\x01n\x01w" + "v"
	if got := encode(&r, 5, 9, true); string(got) != want {
		t.Errorf("stored record = %q, want %q", got, want)
	}
	s := state{start: 1, next: 2, bytes: 3, stamp: 4, mark: 5, cleaned: 6}
	want = "\x01" + strings.Repeat("\x00", 7) + "\x01" + strings.Repeat("\x00", 7) + "\x02" + strings.Repeat("\x00", 7) + "\x03" +
		strings.Repeat("\x00", 7) + "\x04" + strings.Repeat("\x00", 7) + "\x05" + strings.Repeat("\x00", 7) + "\x06"
	if got := s.encode(); string(got) != want {
		t.Errorf("stored state = %q, want %q", got, want)
	}
}

// The room for encryption is kept: a sealed record is recognised, and refused with the name of its key.
func TestSealedRecordIsRefused(t *testing.T) {
	b := encode(&eventlog.Record{}, 5, 9, true)
	b[1] = flagSealed
	b = append(b, "\x05key-1\x03non"+"ciphertext"...)
	if err := readRecord(b, new(eventlog.Record), false); err == nil || !strings.Contains(err.Error(), `"key-1"`) {
		t.Errorf("readRecord(sealed) = %v, want an error that names key-1", err)
	}
	if at, mark, _, err := recordTimes(b); at != 5 || mark != 9 || err != nil {
		t.Errorf("recordTimes(sealed) = %d, %d, %v, want 5, 9: retention needs no key", at, mark, err)
	}
}

func TestOtherRecordVersionIsRefused(t *testing.T) {
	b := encode(&eventlog.Record{}, 5, 9, true)
	b[0] = 2
	if err := readRecord(b, new(eventlog.Record), false); err == nil || !strings.Contains(err.Error(), "version 2") || !strings.Contains(err.Error(), "reads 1") {
		t.Errorf("readRecord(version 2) = %v, want both versions named", err)
	}
}

func FuzzRecordRoundTrip(f *testing.F) {
	f.Add([]byte("key"), []byte("value"), "name", []byte("header"), int64(1), byte(7))
	f.Add([]byte{}, []byte{}, "", []byte{}, int64(-1), byte(0))
	f.Add(bytes.Repeat([]byte("k"), 200), []byte{}, strings.Repeat("n", 300), []byte("w"), int64(1)<<50, byte(6))
	f.Add([]byte("key"), []byte("value"), "name", []byte("header"), int64(1), byte(4|16))
	f.Add([]byte("key"), []byte("value"), "name", []byte("header"), int64(1), byte(16))
	f.Fuzz(func(t *testing.T, key, value []byte, name string, header []byte, at int64, has byte) {
		var in eventlog.Record
		if has&1 != 0 {
			in.Key = append([]byte{}, key...)
		}
		if has&2 != 0 {
			in.Value = append([]byte{}, value...)
		}
		if has&4 != 0 {
			in.Headers = []eventlog.Header{{Name: name, Value: header}, {Name: name}}
		}
		at %= 1 << 52
		stored := encode(&in, at, at+1, has&8 != 0)
		out := eventlog.Record{Key: []byte("old"), Value: []byte("old"), Headers: []eventlog.Header{{Name: "name", Value: []byte("old")}, {Name: "old"}}}
		if err := readRecord(stored, &out, has&16 != 0); err != nil {
			t.Fatalf("readRecord(%q) = %v", stored, err)
		}
		if !out.Time.Equal(time.UnixMilli(at)) || !bytes.Equal(in.Key, out.Key) || (in.Key == nil) != (out.Key == nil) ||
			!bytes.Equal(in.Value, out.Value) || (in.Value == nil) != (out.Value == nil) || len(in.Headers) != len(out.Headers) {
			t.Fatalf("readRecord(%q) = %+v, want %+v", stored, out, in)
		}
		for i, h := range in.Headers {
			if out.Headers[i].Name != h.Name || !bytes.Equal(out.Headers[i].Value, h.Value) {
				t.Fatalf("header %d = %+v, want %+v", i, out.Headers[i], h)
			}
		}
		k, tombstone, err := recordKeyOf(stored)
		if err != nil || !bytes.Equal(k, in.Key) || (k == nil) != (in.Key == nil) || tombstone != (in.Value == nil) {
			t.Fatalf("recordKeyOf(%q) = %q, %v, %v", stored, k, tombstone, err)
		}
	})
}

// Whatever stands there, reading it ends with a record or an error.
func FuzzReadRecord(f *testing.F) {
	f.Add(encode(&eventlog.Record{Key: []byte("k"), Value: []byte("v"), Headers: []eventlog.Header{{Name: "n"}}}, 1, 1, true))
	f.Add([]byte{1, 0xff})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		var r eventlog.Record
		err := readRecord(b, &r, false)
		if err == nil && recordSize(&r) > len(b)+10*len(r.Headers)+20 {
			t.Errorf("readRecord(%q) = %+v, which is more than was there", b, r)
		}
		if _, _, err := recordKeyOf(b); err != nil && len(b) >= recordHead && b[0] == recordVersion && b[1] == 0 {
			t.Errorf("recordKeyOf(%q) = %v", b, err)
		}
	})
}

// Rows stand in the order of topic, partition and offset, and a topic's span has all of its rows and no other's.
func TestKeyOrder(t *testing.T) {
	keys := [][]byte{
		recordKey(1, 0, 0), recordKey(1, 0, 255), recordKey(1, 0, 256), recordKey(1, 1, 0),
		recordKey(255, 0, maxOffset), recordKey(256, 0, 0), recordKey(1<<32-1, 1<<32-1, maxOffset),
	}
	for i, k := range keys[1:] {
		if bytes.Compare(keys[i], k) >= 0 {
			t.Errorf("key %x does not stand before %x", keys[i], k)
		}
	}
	for _, n := range []uint32{1, 255, 256, 1<<32 - 1} {
		lower, upper := span(rowRecord, n)
		for _, k := range keys {
			in := bytes.Compare(k, lower) >= 0 && bytes.Compare(k, upper) < 0
			if want := bytes.HasPrefix(k, lower); in != want {
				t.Errorf("key %x in span of %d = %v, want %v", k, n, in, want)
			}
		}
	}
	if g, topic, p, ok := parseGroupKey(groupKey("gröup", 7, 9)); g != "gröup" || topic != 7 || p != 9 || !ok {
		t.Errorf("parseGroupKey() = %q, %d, %d, %v", g, topic, p, ok)
	}
}
