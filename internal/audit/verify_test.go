package audit

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/disk"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// rows changes the log's rows below it, with all sums made right, as somebody does who knows the store. f returns what a row is to hold; nil = nothing.
func (r *rig) rows(kind byte, f func(key, value []byte) []byte) {
	r.t.Helper()
	r.close()
	o := disk.PebbleOptions()
	o.Logger = quiet{}
	db, err := pebble.Open(filepath.Join(r.data, "log", "db"), o)
	if err != nil {
		r.t.Fatal(err)
	}
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{kind}, UpperBound: []byte{kind + 1}})
	if err != nil {
		r.t.Fatal(err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		old := bytes.Clone(it.Value())
		switch now := f(it.Key(), bytes.Clone(old)); {
		case now == nil:
			err = errors.Join(err, db.Delete(it.Key(), pebble.Sync))
		case !bytes.Equal(now, old):
			err = errors.Join(err, db.Set(it.Key(), now, pebble.Sync))
		}
	}
	if err := errors.Join(err, it.Close(), db.Close()); err != nil {
		r.t.Fatal(err)
	}
	r.open()
}

type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf(format, args...))
}

// Rows of the log; its keys end with the offset in eight bytes.
const (
	topicRow  = 2
	stateRow  = 3
	recordRow = 5
)

func TestChangesAreFoundAndLocated(t *testing.T) {
	replace := func(from, to string) func(_, v []byte) []byte {
		return func(_, v []byte) []byte { return bytes.ReplaceAll(v, []byte(from), []byte(to)) }
	}
	at := eventlog.Position{Topic: "orders", Offset: 17}
	last := eventlog.Position{Topic: "orders", Offset: 339}
	tests := []struct {
		name string
		do   func(r *rig)
		kind string
		at   eventlog.Position
	}{
		{"a value", func(r *rig) { r.rows(recordRow, replace("00170 EUR", "00171 EUR")) }, recordChanged, at},
		{"a key", func(r *rig) { r.rows(recordRow, replace("o-00017", "o-00018")) }, recordChanged, at},
		{"a header", func(r *rig) { r.rows(recordRow, replace("e-00017", "e-10017")) }, recordChanged, at},
		{"a time", func(r *rig) {
			r.rows(recordRow, func(_, v []byte) []byte {
				if bytes.Contains(v, []byte("e-00017")) {
					v[9]++ // milliseconds
				}
				return v
			})
		}, recordChanged, at},
		{"a record removed", func(r *rig) {
			r.rows(recordRow, func(_, v []byte) []byte {
				if bytes.Contains(v, []byte("e-00017")) {
					return nil
				}
				return v
			})
		}, recordMissing, at},
		{"a record put between others", func(r *rig) {
			// The leaf of the record goes, and those behind it move up: as if it had never been there.
			path := r.files("orders", 0).leaves
			text, err := os.ReadFile(path)
			if err == nil {
				err = os.WriteFile(path, slices.Concat(text[:17*entrySize], text[18*entrySize:]), 0o600)
			}
			if err != nil {
				r.t.Fatal(err)
			}
		}, recordAdded, at},
		{"the end removed", func(r *rig) {
			r.rows(recordRow, func(_, v []byte) []byte {
				if bytes.Contains(v, []byte("e-00339")) {
					return nil
				}
				return v
			})
		}, logCut, last},
		{"the end removed, with its leaf", func(r *rig) {
			r.rows(recordRow, func(_, v []byte) []byte {
				if bytes.Contains(v, []byte("e-00339")) {
					return nil
				}
				return v
			})
			truncate(r.t, r.files("orders", 0).leaves, 339*entrySize)
		}, logCut, last},
		{"a leaf", func(r *rig) { flip(r.t, r.files("orders", 0).leaves, 17*entrySize+11) }, leafDamaged, at},
		{"a leaf's offset", func(r *rig) { flip(r.t, r.files("orders", 0).leaves, 17*entrySize+7) }, leafDamaged, at},
		{"a leaf's sum", func(r *rig) { flip(r.t, r.files("orders", 0).leaves, 18*entrySize-1) }, leafDamaged, at},
		{"a leaf, with its sum", func(r *rig) { r.forge("orders", 17, func(e *entry) { e.hash[3]++ }) }, leafDamaged, at},
		{"a tile", func(r *rig) { flip(r.t, r.files("orders", 0).tiles, 5) }, leafDamaged, eventlog.Position{}},
		{"leaves removed", func(r *rig) { truncate(r.t, r.files("orders", 0).leaves, 300*entrySize) }, leafMissing, last},
		{"a record, and its leaf to go with it", func(r *rig) {
			r.rows(recordRow, replace("00170 EUR", "00171 EUR"))
			rec := r.recordAt(at)
			r.forge("orders", 17, func(e *entry) { e.hash = (&hasher{}).leaf(r.id("orders"), rec) })
		}, rewritten, at},
		{"a record that no checkpoint has yet", func(r *rig) {
			r.emit("orders", 340, 5)
			if err := r.keep.round(r.t.Context(), false); err != nil {
				r.t.Fatal(err)
			}
			r.rows(recordRow, replace("03420 EUR", "03421 EUR"))
		}, recordChanged, eventlog.Position{Topic: "orders", Offset: 342}},
		{"the state", func(r *rig) { flip(r.t, filepath.Join(r.keep.Dir, stateFile), 70) }, badCheckpoint, eventlog.Position{}},
		{"the key", func(r *rig) { flip(r.t, filepath.Join(r.keep.Dir, keyFile), 60) }, badCheckpoint, eventlog.Position{}},
		{"a checkpoint outside", func(r *rig) { flip(r.t, r.file, 40) }, badCheckpoint, eventlog.Position{}},
		{"the checkpoints in the log", func(r *rig) {
			r.rows(recordRow, func(_, v []byte) []byte {
				if bytes.Contains(v, []byte(checkpointKind)) {
					return nil
				}
				return v
			})
		}, logCut, eventlog.Position{Topic: function.TopicCheckpoints}},
		{"a checkpoint outside removed, from the middle", func(r *rig) {
			text, err := os.ReadFile(r.file)
			if err != nil {
				r.t.Fatal(err)
			}
			all := pieces(text)
			if err := os.WriteFile(r.file, slices.Concat(all[0], all[2]), 0o600); err != nil {
				r.t.Fatal(err)
			}
			r.rows(recordRow, func(_, v []byte) []byte {
				if bytes.Contains(v, []byte(checkpointKind+"\n2\n")) {
					return nil
				}
				return v
			})
		}, badCheckpoint, eventlog.Position{}},
		{"a topic removed by hand", func(r *rig) { r.rows(topicRow, without("orders")) }, topicMissing, eventlog.Position{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			r.topic(eventlog.Topic{Name: "orders", Partitions: 1})
			for i := range 3 {
				r.emit("orders", 100*i, 100)
				r.sign()
			}
			r.emit("orders", 300, 40)
			r.sign()
			r.clean()
			tt.do(r)
			report := r.verify()
			r.found(report, tt.kind, tt.at)
		})
	}
}

// A log whose engine cannot read some of its records tells of each, and of the others what it can.
func TestRecordsThatCannotBeReadAreNamed(t *testing.T) {
	r := newRig(t)
	r.topic(eventlog.Topic{Name: "orders", Partitions: 1})
	r.emit("orders", 0, 50)
	r.sign()
	key, err := ParseKey(r.key)
	if err != nil {
		t.Fatal(err)
	}
	report, err := Verify(t.Context(), VerifyOptions{Log: &broken{r.log}, Dir: r.keep.Dir, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	if f := report.Findings; len(f) != 1 || f[0].Kind != unreadable || f[0].Offset != 20 || f[0].To != 22 || report.Records != 47 {
		t.Errorf("report = %+v, want that orders/0@20 to 22 cannot be read, and 47 records", report)
	}
}

// awayLog is on brokers that went away, or do not let in who verifies.
type awayLog struct {
	*disk.Log
	bounds, read error
}

func (l *awayLog) Bounds(ctx context.Context, p eventlog.Partition) (eventlog.Bounds, error) {
	if l.bounds != nil && p.Topic == "orders" {
		return eventlog.Bounds{}, l.bounds
	}
	return l.Log.Bounds(ctx, p)
}

func (l *awayLog) Read(ctx context.Context, p eventlog.Partition, from int64, o eventlog.ReadOptions) ([]eventlog.Record, error) {
	if l.read != nil && p.Topic == "orders" {
		if l.read == errGoes {
			l.bounds = errGoes
		}
		return nil, l.read
	}
	return l.Log.Read(ctx, p, from, o)
}

var errGoes = fault.New(fault.Unavailable, "no broker answers")

// An outage is an error, and no finding, which would be called tampering. A batch that a client takes for an outage, while the broker answers, is one.
func TestALogThatIsAwayIsNoFinding(t *testing.T) {
	r := newRig(t)
	r.topic(eventlog.Topic{Name: "orders", Partitions: 1})
	r.emit("orders", 0, 20)
	r.sign()
	key, err := ParseKey(r.key)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name         string
		bounds, read error
		finding      bool
	}{
		{"away", errGoes, nil, false},
		{"goes away while it is read", nil, errGoes, false},
		{"late", context.DeadlineExceeded, nil, false},
		{"no right to ask", fault.New(fault.Denied, "no"), nil, false},
		{"no right to read", nil, fault.New(fault.Denied, "no"), false},
		{"damaged", errors.New("checksum mismatch"), nil, true},
		{"a spoilt batch", nil, fault.New(fault.Unavailable, "the sum of a batch does not match"), true},
	} {
		report, err := Verify(t.Context(), VerifyOptions{Log: &awayLog{r.log, tt.bounds, tt.read}, Dir: r.keep.Dir, Key: key})
		switch {
		case !tt.finding && err != nil && fault.KindOf(err) == fault.KindOf(cmp.Or(tt.bounds, tt.read)):
		case tt.finding && err == nil && len(report.Findings) == 1 && report.Findings[0].Kind == unreadable:
		default:
			t.Errorf("%s: %+v, %v", tt.name, report, err)
		}
	}
}

// broken cannot read the records at the offsets 20 to 22 of orders.
type broken struct{ *disk.Log }

func (b *broken) Read(ctx context.Context, p eventlog.Partition, from int64, o eventlog.ReadOptions) ([]eventlog.Record, error) {
	rs, err := b.Log.Read(ctx, p, from, o)
	for i := range rs {
		if p.Topic == "orders" && rs[i].Offset >= 20 && rs[i].Offset <= 22 {
			return nil, errors.New("checksum mismatch")
		}
	}
	return rs, err
}

func without(topic string) func(k, v []byte) []byte {
	return func(k, v []byte) []byte {
		if string(k[1:]) == topic {
			return nil
		}
		return v
	}
}

func (r *rig) id(topic string) string {
	r.t.Helper()
	id, err := r.keep.topicID(r.t.Context(), topic)
	if err != nil {
		r.t.Fatal(err)
	}
	return id
}

// forge changes a leaf, with its sum made right.
func (r *rig) forge(topic string, i int64, f func(*entry)) {
	r.t.Helper()
	path := r.files(topic, 0).leaves
	text, err := os.ReadFile(path)
	if err != nil {
		r.t.Fatal(err)
	}
	e, ok := parseEntry(text[i*entrySize:])
	if !ok {
		r.t.Fatal("the leaf is damaged already")
	}
	f(&e)
	copy(text[i*entrySize:], appendEntry(nil, &e))
	if err := os.WriteFile(path, text, 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// Who has the node's key and all of its disk can sign another history. It differs from what left the machine.
func TestAnotherHistorySignedWithTheSameKeyIsFound(t *testing.T) {
	r := newRig(t)
	r.topic(eventlog.Topic{Name: "orders", Partitions: 1})
	r.emit("orders", 0, 10)
	r.sign()
	r.emit("orders", 10, 10)
	r.sign()
	kept, err := os.ReadFile(r.file)
	if err != nil {
		t.Fatal(err)
	}
	r.close()
	for _, path := range []string{filepath.Join(r.data, "log"), filepath.Join(r.keep.Dir, stateFile), filepath.Join(r.keep.Dir, treesDir), r.file} {
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	}
	r.open()
	r.topic(eventlog.Topic{Name: "orders", Partitions: 1})
	r.emit("orders", 5, 10)
	r.sign()
	r.emit("orders", 15, 10)
	r.sign()
	r.clean() // against itself
	if err := os.WriteFile(r.file, kept, 0o600); err != nil {
		t.Fatal(err)
	}
	r.found(r.verify(), rewritten, eventlog.Position{})
}

func TestAnotherKeyIsNotBelieved(t *testing.T) {
	r, other := newRig(t), newRig(t)
	for _, one := range []*rig{r, other} {
		one.topic(eventlog.Topic{Name: "orders", Partitions: 1})
		one.emit("orders", 0, 3)
		one.sign()
	}
	text, err := os.ReadFile(other.file)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ParseKey(r.keep.public)
	if err != nil {
		t.Fatal(err)
	}
	otherKey, err := ParseKey(other.keep.public)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(o VerifyOptions) *wire.AuditReport {
		o.Log, o.Dir, o.From = r.log, r.keep.Dir, "checkpoints"
		report, err := Verify(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		return report
	}
	report := ask(VerifyOptions{Key: key, Outside: text})
	if f := report.Findings; len(f) != 1 || f[0].Kind != badCheckpoint || !strings.Contains(f[0].What, "is signed by the key "+keyText(otherKey.Name(), otherKey.KeyHash())) {
		t.Errorf("with another node's checkpoints: %+v, want one finding that names the key", f)
	}
	if f := ask(VerifyOptions{Key: otherKey}).Findings; len(f) == 0 || !strings.Contains(f[0].What, "no checkpoint is signed by the key") {
		t.Errorf("with another node's key: %+v, want that there is no checkpoint", f)
	}
}

// Every file of a small store, at positions all over it: a flipped byte is found, or the log refuses to open, or it changed nothing of what the log gives.
func TestAFlippedByteAnywhereIsFoundOrChangesNothing(t *testing.T) {
	r := newRig(t)
	r.topic(eventlog.Topic{Name: "orders", Partitions: 2})
	r.topic(eventlog.Topic{Name: "stock", Partitions: 1, Compact: true})
	r.emit("orders", 0, 300)
	r.emit("stock", 0, 20)
	r.sign()
	r.close() // makes tables of what was in the write-ahead log
	r.open()
	r.emit("orders", 300, 300)
	r.sign()
	want := r.content()
	r.clean()
	r.close()
	key, err := ParseKey(r.keep.public)
	if err != nil {
		t.Fatal(err)
	}
	outside, err := os.ReadFile(r.file)
	if err != nil {
		t.Fatal(err)
	}
	whole := map[string][]byte{}
	err = filepath.WalkDir(r.data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(r.data, path)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		whole[name] = bytes.TrimRight(text, "\x00") // what is laid out ahead of use is full of zeros
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for name, text := range whole {
		places := 2
		if strings.HasPrefix(name, "audit") || strings.HasSuffix(name, ".sst") || strings.HasSuffix(name, ".log") {
			places = 7
		}
		if os.Getenv("DALAMB_LONG") == "1" {
			places *= 20
		}
		step := max(1, len(text)/places)
		for at := 0; at < len(text); at += step {
			dir := filepath.Join(t.TempDir(), "data")
			for other, text := range whole {
				path := filepath.Join(dir, other)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if other == name {
					text = bytes.Clone(text)
					text[at] ^= 0x20
				}
				if err := os.WriteFile(path, text, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			one := &rig{t: t, data: dir, file: r.file, now: r.now}
			log, err := disk.Open(disk.Options{Dir: filepath.Join(dir, "log"), SweepEvery: time.Hour})
			if err != nil {
				counts["refused"]++
				continue
			}
			one.log = log
			report, err := Verify(t.Context(), VerifyOptions{Log: log, Dir: filepath.Join(dir, "audit"), Key: key, Outside: outside, From: "checkpoints"})
			switch {
			case err != nil:
				counts["refused"]++
			case len(report.Findings) > 0:
				counts["found"]++
			case one.content() == want:
				if strings.HasPrefix(name, "audit") && !strings.HasPrefix(filepath.Base(name), keyFile) {
					t.Errorf("%s at %d of %d: a byte of the audit was flipped, and nothing says so", name, at, len(text))
				}
				counts["changed nothing"]++
			default:
				t.Errorf("%s at %d of %d: a byte was flipped, the log gives something else, and nothing says so", name, at, len(text))
			}
			log.Close() // it may complain of what was done to it
		}
	}
	t.Logf("of the flipped bytes: %v", counts)
	if counts["found"] == 0 || counts["refused"] == 0 {
		t.Error("want some that are found and some that the log refuses")
	}
}

// content is all that the log gives, as text.
func (r *rig) content() string {
	var b strings.Builder
	topics, err := r.log.Topics(r.t.Context())
	fmt.Fprintln(&b, topics, err)
	for _, t := range topics {
		for p := range t.Partitions {
			_, err := eventlog.ReadAll(r.t.Context(), r.log, eventlog.Partition{Topic: t.Name, ID: p}, func(rec *eventlog.Record) error {
				fmt.Fprintln(&b, t.Name, p, rec.Offset, hex.EncodeToString(Encode(nil, t.ID, rec)))
				return nil
			})
			fmt.Fprintln(&b, err)
		}
	}
	return b.String()
}

// An auditor's copy has no key that signs, and may have no public one beside it.
func TestACopyWithoutTheKeyIsVerifiedByThePublicOneThatIsGiven(t *testing.T) {
	r := newRig(t)
	r.topic(eventlog.Topic{Name: "orders", Partitions: 1})
	for i := range 3 {
		r.emit("orders", 10*i, 10)
		r.sign()
	}
	text, err := os.ReadFile(r.file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(r.file, slices.Concat(pieces(text)[:2]...), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{keyFile, publicFile} {
		if err := os.Remove(filepath.Join(r.keep.Dir, name)); err != nil {
			t.Fatal(err)
		}
		if report := r.clean(); report.Outside != 2 || report.OutsideLast != 2 || report.Last != 3 || report.Records < 30 {
			t.Errorf("without %s: report = %+v, want two checkpoints from outside, three in all, and 30 records", name, report)
		}
	}
	flip(t, filepath.Join(r.keep.Dir, stateFile), 70)
	r.found(r.verify(), badCheckpoint, eventlog.Position{})
}

// A table whose blocks are damaged is told of record by record, and what is elsewhere is compared; one that cannot be opened is told of by its name.
func TestADamagedTableIsAFindingWithItsPlace(t *testing.T) {
	r := newRig(t)
	r.topic(eventlog.Topic{Name: "orders", Partitions: 1})
	r.emit("orders", 0, 600)
	r.sign()
	r.close() // makes a table of what is in the write-ahead log, when it is opened again
	r.open()
	r.close()
	key, err := ParseKey(r.key)
	if err != nil {
		t.Fatal(err)
	}
	outside, err := os.ReadFile(r.file)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := filepath.Glob(filepath.Join(r.data, "log", "db", "*.sst"))
	if err != nil || len(tables) != 1 {
		t.Fatalf("the tables are %v, %v, want one", tables, err)
	}
	whole, err := os.ReadFile(tables[0])
	if err != nil {
		t.Fatal(err)
	}
	o := VerifyOptions{Dir: r.keep.Dir, Key: key, Outside: outside, From: "checkpoints"}
	for _, part := range []int{4, 8, 12} { // sixteenths
		text := bytes.Clone(whole)
		text[len(text)*part/16] ^= 0x20
		if err := os.WriteFile(tables[0], text, 0o600); err != nil {
			t.Fatal(err)
		}
		log, err := disk.Open(disk.Options{Dir: filepath.Join(r.data, "log"), ReadOnly: true})
		if err != nil {
			t.Fatalf("with damage at %d/16: %v", part, err)
		}
		o := o
		o.Log = log
		report, err := Verify(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if f := report.Findings; len(f) != 1 || f[0].Kind != unreadable || f[0].Topic != "orders" || f[0].To <= f[0].Offset || f[0].To-f[0].Offset > 200 || strings.Contains(f[0].What, "\n") || report.Records < 400 {
			t.Errorf("with damage at %d/16: %+v, want one finding of some records of orders, and that the others are compared", part, report)
		}
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	}

	if err := os.WriteFile(tables[0], whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = disk.Open(disk.Options{Dir: filepath.Join(r.data, "log"), ReadOnly: true})
	var damaged *disk.DamagedError
	if !errors.As(err, &damaged) {
		t.Fatalf("Open of a log whose table ends early = %v, want that it is damaged", err)
	}
	report, err := Unreadable(o, damaged.File, err)
	if err != nil {
		t.Fatal(err)
	}
	if f := report.Findings; len(f) != 1 || f[0].Kind != unreadable || !strings.HasPrefix(f[0].File, filepath.Join(r.data, "log")) || strings.Contains(f[0].What, "\n") || report.Outside != 1 {
		t.Errorf("report = %+v, want one finding with a file of the log, and one checkpoint from outside", report)
	}
}
