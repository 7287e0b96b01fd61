package audit

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

// proof is one as it reaches who checks it: as text.
func (r *rig) proof(at eventlog.Position) []byte {
	r.t.Helper()
	p, err := r.keep.Prove(r.t.Context(), at)
	if err != nil {
		r.t.Fatal(err)
	}
	text, err := json.Marshal(p)
	if err != nil {
		r.t.Fatal(err)
	}
	return text
}

func (r *rig) verifier() note.Verifier {
	r.t.Helper()
	key, err := ParseKey(r.keep.public)
	if err != nil {
		r.t.Fatal(err)
	}
	return key
}

func check(text []byte, key note.Verifier) error {
	p, _, err := ReadProof(text)
	if err == nil {
		_, err = Check(p, key)
	}
	return err
}

func TestEveryRecordCanBeProved(t *testing.T) {
	r := newRig(t)
	r.topic(eventlog.Topic{Name: "orders", Partitions: 2})
	var all []eventlog.Position
	for i := range 4 {
		all = append(all, r.emit("orders", 150*i, 150)...)
		if i < 3 { // the last ones are signed when the first of them is proved
			r.sign()
		}
	}
	for i := 0; i < len(all); i += 7 {
		text := r.proof(all[i])
		if err := check(text, r.verifier()); err != nil {
			t.Fatalf("proof of %+v: %v", all[i], err)
		}
		p, _, err := ReadProof(text)
		if err != nil {
			t.Fatal(err)
		}
		own, err := order(i).MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckEvent(p, own); err != nil {
			t.Fatalf("the event at %+v: %v", all[i], err)
		}
		other, err := order(i + 1).MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckEvent(p, other); fault.KindOf(err) != fault.Conflict {
			t.Fatalf("another event than the one at %+v: %v, want Conflict", all[i], err)
		}
	}
	if r.keep.state.seq != 4 {
		t.Errorf("%d checkpoints, want 4", r.keep.state.seq)
	}
	for _, at := range []eventlog.Position{{Topic: "orders", Offset: 1_000_000}, {Topic: "orders", Partition: 7}, {Topic: "none"}} {
		if _, err := r.keep.Prove(t.Context(), at); fault.KindOf(err) != fault.NotFound {
			t.Errorf("Prove(%+v) = %v, want NotFound", at, err)
		}
	}
}

func TestAnEventIsComparedAsItIsPrinted(t *testing.T) {
	r := newRig(t)
	r.topic(eventlog.Topic{Name: "orders", Partitions: 1})
	e := order(1)
	e.DataContentType, e.Data = "application/json", []byte("{\"to\" : \"<a>\",\n \"n\": [1, 2.0] }")
	if _, err := r.log.Append(t.Context(), []eventlog.Record{eventlog.FromEvent("orders", e)}); err != nil {
		t.Fatal(err)
	}
	r.sign()
	p, _, err := ReadProof(r.proof(eventlog.Position{Topic: "orders"}))
	if err != nil {
		t.Fatal(err)
	}
	for data, same := range map[string]bool{
		`{"to":"\u003ca\u003e","n":[1,2.0]}`: true,
		`{"to":"<a>","n":[1,2]}`:             false,
		`{"n":[1,2.0],"to":"<a>"}`:           false,
		`{"to":"<a>","n":[1,2.0],"n":1}`:     false,
		`{"to":"<a>"}`:                       false,
	} {
		e.Data = []byte(data)
		printed, err := e.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckEvent(p, printed); (err == nil) != same {
			t.Errorf("CheckEvent with the data %s = %v, want the same: %t", data, err, same)
		}
	}
}

func TestAProofThatWasChangedAnywhereDoesNotHold(t *testing.T) {
	r, other := newRig(t), newRig(t)
	for _, one := range []*rig{r, other} {
		one.topic(eventlog.Topic{Name: "orders", Partitions: 1})
		one.emit("orders", 0, 300)
		one.sign()
	}
	text := r.proof(eventlog.Position{Topic: "orders", Offset: 200})
	key := r.verifier()
	if err := check(text, key); err != nil {
		t.Fatal(err)
	}
	if err := check(text, other.verifier()); err == nil || !strings.Contains(err.Error(), "is signed by the key") {
		t.Errorf("with another node's key: %v, want that it is signed by another", err)
	}
	otherText := other.proof(eventlog.Position{Topic: "orders", Offset: 200})
	var theirs wire.AuditProof
	if err := json.Unmarshal(otherText, &theirs); err != nil {
		t.Fatal(err)
	}
	tests := map[string]func(p *wire.AuditProof){
		"form":                      func(p *wire.AuditProof) { p.Form = "dalamb.proof.v2" },
		"topic":                     func(p *wire.AuditProof) { p.Topic = "stock" },
		"topic id":                  func(p *wire.AuditProof) { p.TopicID += "x" },
		"partition":                 func(p *wire.AuditProof) { p.Partition = 1 },
		"offset":                    func(p *wire.AuditProof) { p.Offset = 201 },
		"time":                      func(p *wire.AuditProof) { p.Record.Time = p.Record.Time.Add(time.Millisecond) },
		"key":                       func(p *wire.AuditProof) { p.Record.Key[0]++ },
		"no key":                    func(p *wire.AuditProof) { p.Record.Key = nil },
		"header's name":             func(p *wire.AuditProof) { p.Record.Headers[0].Name += "x" },
		"header's value":            func(p *wire.AuditProof) { p.Record.Headers[0].Value = []byte("x") },
		"headers":                   func(p *wire.AuditProof) { p.Record.Headers = p.Record.Headers[1:] },
		"order of headers":          func(p *wire.AuditProof) { h := p.Record.Headers; h[0], h[1] = h[1], h[0] },
		"value":                     func(p *wire.AuditProof) { p.Record.Value = append(p.Record.Value, ' ') },
		"no value":                  func(p *wire.AuditProof) { p.Record.Value = nil },
		"leaf":                      func(p *wire.AuditProof) { p.Leaf[31]++ },
		"leaf without its record":   func(p *wire.AuditProof) { p.Record, p.Leaf[0] = nil, p.Leaf[0]+1 },
		"an offset before its leaf": func(p *wire.AuditProof) { p.Record, p.Offset = nil, p.Index-1 },
		"an offset behind the end":  func(p *wire.AuditProof) { p.Record, p.Offset = nil, 300 },
		"short leaf":                func(p *wire.AuditProof) { p.Leaf = p.Leaf[:31] },
		"no leaf":                   func(p *wire.AuditProof) { p.Leaf = nil },
		"index":                     func(p *wire.AuditProof) { p.Index-- },
		"index behind the offset":   func(p *wire.AuditProof) { p.Index++ },
		"negative index":            func(p *wire.AuditProof) { p.Index = -1 },
		"size":                      func(p *wire.AuditProof) { p.Size++ },
		"negative size":             func(p *wire.AuditProof) { p.Size = -p.Size },
		"a hash":                    func(p *wire.AuditProof) { p.Hashes[3][9]++ },
		"hashes":                    func(p *wire.AuditProof) { p.Hashes = p.Hashes[1:] },
		"one hash more":             func(p *wire.AuditProof) { p.Hashes = append(p.Hashes, p.Leaf) },
		"very many hashes":          func(p *wire.AuditProof) { p.Hashes = make([][]byte, 1000) },
		"a short hash":              func(p *wire.AuditProof) { p.Hashes[0] = p.Hashes[0][:5] },
		"order of hashes":           func(p *wire.AuditProof) { p.Hashes[0], p.Hashes[1] = p.Hashes[1], p.Hashes[0] },
		"checkpoint":                func(p *wire.AuditProof) { p.Checkpoint = strings.Replace(p.Checkpoint, "orders", "stocks", 1) },
		"number of the checkpoint":  func(p *wire.AuditProof) { p.Checkpoint = strings.Replace(p.Checkpoint, "\n1\n", "\n2\n", 1) },
		"signature":                 func(p *wire.AuditProof) { p.Checkpoint = p.Checkpoint[:len(p.Checkpoint)-8] + "AAAAAA==\n" },
		"no signature":              func(p *wire.AuditProof) { p.Checkpoint, _, _ = strings.Cut(p.Checkpoint, "\n\n") },
		"another node's checkpoint": func(p *wire.AuditProof) { p.Checkpoint = theirs.Checkpoint },
	}
	for name, forge := range tests {
		var p wire.AuditProof
		if err := json.Unmarshal(text, &p); err != nil {
			t.Fatal(err)
		}
		forge(&p)
		forged, err := json.Marshal(&p)
		if err != nil {
			t.Fatal(err)
		}
		if check(forged, key) == nil {
			t.Errorf("%s: the proof holds", name)
		}
	}
	for name, forged := range map[string][]byte{
		"cut":               text[:len(text)/2],
		"two":               append(bytes.Clone(text), text...),
		"an unknown field":  bytes.Replace(text, []byte(`{"form"`), []byte(`{"admin":true,"form"`), 1),
		"nothing":           nil,
		"null":              []byte("null"),
		"longer than it is": make([]byte, maxProof+1),
	} {
		if _, _, err := ReadProof(forged); fault.KindOf(err) != fault.Invalid {
			t.Errorf("ReadProof of a proof that is %s: %v, want Invalid", name, err)
		}
	}
}

func TestWhatRetentionHasTakenCanBeProved(t *testing.T) {
	r := newRig(t)
	r.topic(eventlog.Topic{Name: "orders", Partitions: 1})
	at := r.emit("orders", 0, 100)
	r.sign()
	stood := r.recordAt(at[42])
	r.now.add(31 * 24 * time.Hour)
	if err := r.log.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	text := r.proof(at[42])
	if err := check(text, r.verifier()); err != nil {
		t.Fatal(err)
	}
	p, _, err := ReadProof(text)
	if err != nil || p.Record != nil {
		t.Fatalf("proof = %+v, %v, want one without its record", p, err)
	}
	own, err := order(42).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckEvent(p, own); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "does not say when it was logged") {
		t.Errorf("the event without its time: %v, want that it lacks", err)
	}
	line := wire.EventAt{Topic: "orders", Offset: at[42].Offset, Time: stood.Time, Event: own}
	for _, shift := range []time.Duration{0, time.Second} {
		line.Time = line.Time.Add(shift)
		kept, err := json.Marshal(line)
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckEvent(p, kept); (err == nil) != (shift == 0) {
			t.Errorf("the line that was kept, %s later: %v", shift, err)
		}
	}
}

func TestNoProofIsMadeOfARecordThatWasChanged(t *testing.T) {
	r := newRig(t)
	r.topic(eventlog.Topic{Name: "orders", Partitions: 1})
	at := r.emit("orders", 0, 100)
	r.sign()
	r.rows(recordRow, func(_, v []byte) []byte { return bytes.ReplaceAll(v, []byte("00420 EUR"), []byte("00421 EUR")) })
	if _, err := r.keep.Prove(t.Context(), at[42]); fault.KindOf(err) != fault.Conflict {
		t.Errorf("Prove = %v, want Conflict", err)
	}
	if _, err := r.keep.Prove(t.Context(), at[41]); err != nil {
		t.Errorf("Prove of the one before: %v", err)
	}
}

func TestLeavesOfDifferentRecordsDiffer(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_000)
	records := []eventlog.Record{
		{Time: at},
		{Time: at, Key: []byte{}},
		{Time: at, Value: []byte{}},
		{Time: at, Key: []byte("a"), Value: []byte("b")},
		{Time: at, Key: []byte("ab"), Value: []byte{}},
		{Time: at, Headers: []eventlog.Header{{Name: "a", Value: []byte("b")}}},
		{Time: at, Headers: []eventlog.Header{{Name: "ab"}}},
		{Time: at, Headers: []eventlog.Header{{Name: "a"}, {Name: "b"}}},
		{Time: at, Headers: []eventlog.Header{{Name: "a", Value: []byte("\x00\x00\x00\x00")}}}, // what stands between these two could be of either
		{Time: at, Headers: []eventlog.Header{{Name: "a\x00\x00\x00\x04"}}},
		{Time: at, Partition: 1},
		{Time: at, Offset: 1},
		{Time: at.Add(time.Millisecond)},
	}
	seen := map[string]int{}
	for i := range records {
		for _, id := range []string{"t", "u"} {
			text := string(Encode(nil, id, &records[i]))
			if before, twice := seen[text]; twice {
				t.Errorf("records %d and %d have one encoding", before, i)
			}
			seen[text] = i
		}
	}
}

func FuzzReadProof(f *testing.F) {
	_, public, err := note.GenerateKey(bytes.NewReader(make([]byte, 64)), "fuzz")
	if err != nil {
		f.Fatal(err)
	}
	key, err := ParseKey(public)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"form":"dalamb.proof.v1","topic":"orders","topicId":"t","partition":0,"offset":1,"record":{"time":"2026-11-22T12:00:00Z","key":null,"headers":[],"value":"e30="},"leaf":"AA==","index":0,"size":1,"hashes":[],"checkpoint":"x\n\n— fuzz AA==\n"}`))
	f.Add([]byte(`{"form":"dalamb.proof.v1","hashes":[null,""],"size":-1}`))
	f.Add([]byte(`{"form":"dalamb.growth.v1","from":1,"to":2,"checkpoints":["x"],"trees":[{"topicId":"t","from":1,"to":2,"hashes":[null,"AA=="]}],"gone":[{"checkpoint":2}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, growth, err := ReadProof(text)
		if err != nil {
			return
		}
		if growth != nil {
			if _, err := CheckGrowth(growth, key); err == nil {
				t.Error("a proof of growth holds that nobody has signed")
			}
			return
		}
		if _, err := Check(p, key); err == nil {
			t.Error("a proof holds that nobody has signed")
		}
		if CheckEvent(p, text) == nil {
			t.Error("a proof is taken for an event")
		}
	})
}

func FuzzCheckpoint(f *testing.F) {
	private, public, err := note.GenerateKey(nil, "fuzz")
	if err != nil {
		f.Fatal(err)
	}
	signer, err := note.NewSigner(private)
	if err != nil {
		f.Fatal(err)
	}
	key, err := ParseKey(public)
	if err != nil {
		f.Fatal(err)
	}
	c := checkpoint{seq: 1, time: time.UnixMilli(1_700_000_000_000), head: []head{{id: treeID{"t", 0}, topic: "orders", size: 3, end: 4}}, gone: []gone{{"u", "old"}}}
	f.Add(c.text())
	f.Add(checkpointKind + "\n1\n2026-11-22T12:00:00Z\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseCheckpoint(text)
		if err == nil && c.text() != text {
			t.Errorf("parseCheckpoint(%q) is one of %q", text, c.text())
		}
		if err != nil {
			return
		}
		raw, err := sign(text, signer)
		if err != nil {
			return // a text that no note can have
		}
		if all := pieces(append(raw, raw...)); len(all) != 2 {
			t.Errorf("two checkpoints after one another are %d pieces", len(all))
		}
		if _, err := openCheckpoint(raw, key); err != nil {
			t.Errorf("openCheckpoint of what was signed: %v", err)
		}
	})
}
