package dispatch

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dalamb/dalamb/internal/function"
)

// offsets draws rising offsets: sparse, dense, or in stretches.
func offsets(t *rapid.T) []int64 {
	gap := rapid.SampledFrom([]int64{1, 2, 50, 1 << 40}).Draw(t, "gap")
	next := rapid.Int64Range(0, 1<<40).Draw(t, "first")
	var all []int64
	for range rapid.IntRange(0, 300).Draw(t, "count") {
		all = append(all, next)
		next += rapid.Int64Range(1, gap).Draw(t, "step")
	}
	return all
}

func TestLaneRecordsComeBackAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := laneRecord{attached: rapid.Bool().Draw(t, "attached"), pending: offsets(t)}
		if !want.attached {
			want.scanned = rapid.Int64Range(0, 1<<50).Draw(t, "scanned")
			if n := len(want.pending); n > 0 {
				want.scanned = want.pending[n-1] + 1 + want.scanned%1000
			}
		}
		b := want.encode()
		got, err := decodeLane(b)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("decode(encode(%v)) = %v, %v", want, got, err)
		}
		if most := 20 + 10*len(want.pending); len(b) > most {
			t.Fatalf("%d pending take %d bytes", len(want.pending), len(b))
		}
	})
}

func TestPendingOffsetsAreSmall(t *testing.T) {
	var dense, half, sparse []int64
	for i := range int64(8192) {
		dense = append(dense, 1e9+i)
		if i*2654435761>>7&1 == 0 {
			half = append(half, 1e9+i)
		}
		sparse = append(sparse, 1e9+i*100)
	}
	for _, c := range []struct {
		name    string
		pending []int64
		most    int
	}{{"dense", dense, 20}, {"half", half, 1100}, {"sparse", sparse, 8220}} {
		if n := len(laneRecord{attached: true, pending: c.pending}.encode()); n > c.most {
			t.Errorf("%s: %d offsets take %d bytes, want at most %d", c.name, len(c.pending), n, c.most)
		}
	}
}

func TestScanAndRetryRecordsComeBackAsTheyWere(t *testing.T) {
	scan := scanRecord{position: 1 << 40, control: 17, commit: 3, life: 1<<64 - 1, clean: true}
	if got, err := decodeScan(scan.encode()); err != nil || got != scan {
		t.Errorf("scan = %+v, %v, want %+v", got, err, scan)
	}
	retry := retryRecord{started: 2, due: time.UnixMilli(1e12), attempts: []function.Attempt{{
		Number: 1, Outcome: function.Failed, Failure: &function.Failure{Type: "E", Message: "no", Trace: []byte(`["x"]`)},
	}}}
	b, err := retry.encode()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := decodeRetry(b); err != nil || !reflect.DeepEqual(got, retry) {
		t.Errorf("retry = %+v, %v, want %+v", got, err, retry)
	}
}

func TestDamagedProgressIsRefused(t *testing.T) {
	good := laneRecord{scanned: 100, pending: []int64{3, 4, 9}}.encode()
	for name, b := range map[string][]byte{
		"empty":          {},
		"newer":          append([]byte{progressFormat + 1}, good[1:]...),
		"short":          good[:len(good)-1],
		"long":           append(slices.Clone(good), 0),
		"flag":           {progressFormat, 7, 0},
		"form":           {progressFormat, 1, 1, 9, 1},
		"twice":          {progressFormat, 1, 2, pendingDeltas, 5, 0},
		"ahead":          {progressFormat, 0, 3, 1, pendingDeltas, 5},
		"empty stretch":  {progressFormat, 1, 1, pendingRuns, 5, 0},
		"long stretch":   {progressFormat, 1, 1, pendingRuns, 5, 9},
		"short bitmap":   {progressFormat, 1, 1, pendingBitmap, 5, 9, 1},
		"bitmap too few": {progressFormat, 1, 2, pendingBitmap, 5, 1, 1},
		"too many":       {progressFormat, 1, 255, 255, 255, 255, 1, pendingRuns, 0, 255, 255, 255, 255, 1},
	} {
		if r, err := decodeLane(b); err == nil {
			t.Errorf("%s: decodeLane(% x) = %+v, want an error", name, b, r)
		}
	}
	if _, err := decodeScan([]byte{progressFormat, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 0, 0}); err == nil {
		t.Error("a position out of range is taken")
	}
	if _, err := decodeRetry([]byte{progressFormat, 3, 0, '[', ']'}); err == nil {
		t.Error("attempt 3 after no attempt is taken")
	}
}

func FuzzProgress(f *testing.F) {
	f.Add(laneRecord{scanned: 100, pending: []int64{3, 4, 9}}.encode())
	f.Add(laneRecord{attached: true, pending: []int64{1, 2, 3, 4, 5, 6, 7, 8, 9}}.encode())
	f.Add([]byte{progressFormat, 1, 1, pendingBitmap, 5, 1, 1})
	f.Add(scanRecord{position: 1}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if l, err := decodeLane(b); err == nil {
			again, err := decodeLane(l.encode())
			if err != nil || !reflect.DeepEqual(again, l) {
				t.Fatalf("%+v comes back as %+v, %v", l, again, err)
			}
		}
		if s, err := decodeScan(b); err == nil {
			if again, err := decodeScan(s.encode()); err != nil || again != s {
				t.Fatalf("%+v comes back as %+v, %v", s, again, err)
			}
		}
		if r, err := decodeRetry(b); err == nil && len(r.attempts) > 0 && r.started > len(r.attempts)+1 {
			t.Fatalf("attempt %d after %d attempts", r.started, len(r.attempts))
		}
	})
}

func TestProgressKeys(t *testing.T) {
	k := keysOf("id/1", 1)
	for _, c := range []struct {
		key             string
		kind            byte
		trigger, offset int64
		mine, bad       bool
	}{
		{key: k.scan(), kind: 's', mine: true},
		{key: k.jobs(), kind: 'j', mine: true},
		{key: k.lane(7), kind: 'l', trigger: 7, mine: true},
		{key: k.retry(7, 9), kind: 'r', trigger: 7, offset: 9, mine: true},
		{key: keysOf("id/1", 11).lane(7)},
		{key: keysOf("id", 1).lane(7)},
		{key: keysOf("id", 1).scan()},
		{key: "x/id/1/1", mine: true, bad: true},
		{key: "l/id/1/1", mine: true, bad: true},
		{key: "l/id/1/1/z", mine: true, bad: true},
		{key: "l/id/1/1/-4", mine: true, bad: true},
		{key: ""},
	} {
		kind, trigger, offset, mine, err := k.parse(c.key)
		if c.bad != (err != nil) || mine != c.mine {
			t.Errorf("parse(%q): mine %v, %v", c.key, mine, err)
			continue
		}
		if err == nil && mine && (kind != c.kind || trigger != c.trigger || offset != c.offset) {
			t.Errorf("parse(%q) = %c %d %d, want %c %d %d", c.key, kind, trigger, offset, c.kind, c.trigger, c.offset)
		}
	}
}
