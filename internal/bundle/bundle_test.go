package bundle

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

const codeDigest = "sha256:fbefaa36e17a51ff22f6a6e1c2e30bdfd1375ac69a0fb8091d48eff8611fac2a"

// story is a bundle of one event, its run, and what that emitted.
func story(t *testing.T, out string, state function.RunState) *Bundle {
	t.Helper()
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	record := func(id, typ, data string) Event {
		r := eventlog.FromEvent("events", &event.Event{ID: id, Source: "/s", Type: typ, DataContentType: "application/json", Data: []byte(data)})
		r.Time = at
		return EventOf(&r)
	}
	emitted := record("e-1-out", "done", out)
	rec := emitted.Record()
	e := eventOf(&rec)
	b := &Bundle{
		Manifest: Manifest{ID: "e-1", Began: at, Ended: at.Add(time.Second), Sources: []string{"e-1"}},
		Events:   []Event{record("e-1", "asked", "1"), emitted},
		Runs: []function.Run{{
			ID: "run-1", Function: "f", Trigger: "t", State: state, Event: function.EventRef{ID: "e-1"},
			Emitted: []function.Emitted{{Topic: "events", ID: "e-1-out", Type: "done", Digest: e.Digest()}},
		}},
		Functions: []Function{{Name: "f", Version: 2, Versions: []function.Version{{Number: 2, Code: codeDigest, Spec: function.Spec{Name: "f"}}}}},
		Code:      []string{codeDigest},
	}
	return b
}

func written(t *testing.T, b *Bundle) []byte {
	t.Helper()
	var out bytes.Buffer
	err := Write(&out, b, Stores{Code: func(digest string, w io.Writer) error {
		_, err := io.WriteString(w, strings.Repeat("code", 1000))
		return err
	}})
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func open(t *testing.T, text []byte) (*Opened, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "b.tar")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := Open(file)
	if err == nil {
		t.Cleanup(func() { o.Close() })
	}
	return o, err
}

func TestWhatWasWrittenIsRead(t *testing.T) {
	text := written(t, story(t, "1", function.RunSucceeded))
	if !bytes.Equal(text, written(t, story(t, "1", function.RunSucceeded))) {
		t.Error("the same content is other bytes")
	}
	o, err := open(t, text)
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Events) != 2 || len(o.Runs) != 1 || o.Functions[0].Chosen().Code != codeDigest || o.Manifest.Format != Format {
		t.Errorf("read %+v", o.Bundle)
	}
	r, err := o.Archive(codeDigest)
	if err != nil {
		t.Fatal(err)
	}
	if code, err := io.ReadAll(r); err != nil || string(code) != strings.Repeat("code", 1000) {
		t.Errorf("the code is %d bytes, %v", len(code), err)
	}
	if _, err := o.Archive("sha256:00"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("code that is not there: %v, want not found", err)
	}
}

// entry is one of an archive that a test changes.
type entry struct {
	header *tar.Header
	text   []byte
}

func rewritten(t *testing.T, text []byte, change func([]entry) []entry) []byte {
	t.Helper()
	var all []entry
	for r := tar.NewReader(bytes.NewReader(text)); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, entry{h, content})
	}
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range change(all) {
		if e.header.Typeflag == tar.TypeReg {
			e.header.Size = int64(len(e.text))
		}
		if err := w.WriteHeader(e.header); err != nil {
			t.Fatal(err)
		}
		if e.header.Typeflag == tar.TypeReg {
			if _, err := w.Write(e.text); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// says changes the manifest.
func says(t *testing.T, change func(*Manifest)) func([]entry) []entry {
	return func(all []entry) []entry {
		var m Manifest
		if err := json.Unmarshal(all[0].text, &m); err != nil {
			t.Fatal(err)
		}
		change(&m)
		all[0].text, _ = json.Marshal(m) // what was decoded can be encoded
		return all
	}
}

func TestHostileBundlesAreRefused(t *testing.T) {
	good := written(t, story(t, "1", function.RunSucceeded))
	last := func(all []entry) *entry { return &all[len(all)-1] }
	for _, c := range []struct {
		name   string
		change func([]entry) []entry
		want   string
	}{
		{"another byte", func(all []entry) []entry { all[2].text[20] ^= 1; return all }, "events.json is not what the manifest says"},
		{"another byte of code", func(all []entry) []entry { last(all).text[9] ^= 1; return all }, "is not what the manifest says"},
		{"a way out", func(all []entry) []entry { last(all).header.Name = "../../etc/passwd"; return all }, "the manifest says"},
		{"a way out that is announced", func(all []entry) []entry {
			last(all).header.Name = "code/../../x"
			return says(t, func(m *Manifest) { m.Files[len(m.Files)-1].Path = "code/../../x" })(all)
		}, "which no bundle has"},
		{"a link", func(all []entry) []entry {
			last(all).header.Typeflag, last(all).header.Linkname, last(all).header.Size = tar.TypeSymlink, "/etc/passwd", 0
			return all
		}, "is no plain file"},
		{"a size", says(t, func(m *Manifest) { m.Files[1].Size = MaxPart + 1 }), "the manifest says"},
		{"an entry more", func(all []entry) []entry {
			return append(all, entry{&tar.Header{Typeflag: tar.TypeReg, Name: "x", Mode: 0o600}, []byte("x")})
		}, "entries that the manifest does not name"},
		{"an entry less", func(all []entry) []entry { return all[:len(all)-1] }, "it ends early"},
		{"parts less", func(all []entry) []entry {
			return says(t, func(m *Manifest) { m.Files = m.Files[:2] })(all[:3])
		}, "it lacks runs.json"},
		{"another order", func(all []entry) []entry {
			all[1], all[2] = all[2], all[1]
			return says(t, func(m *Manifest) { m.Files[0], m.Files[1] = m.Files[1], m.Files[0] })(all)
		}, "in the place of trace.json"},
		{"the same code twice", func(all []entry) []entry {
			return says(t, func(m *Manifest) { m.Files = append(m.Files, m.Files[len(m.Files)-1]) })(append(all, *last(all)))
		}, "twice"},
		{"another format", says(t, func(m *Manifest) { m.Format = 2 }), "format 2"},
		{"a source that is not there", says(t, func(m *Manifest) { m.Sources = []string{"nobody"} }), "source event nobody is not in it"},
		{"what nobody knows", func(all []entry) []entry { all[0].text = []byte(`{"format":1,"evil":1}`); return all }, "unknown field"},
		{"no manifest", func(all []entry) []entry { return all[1:] }, "its first entry is"},
	} {
		_, err := open(t, rewritten(t, good, c.change))
		if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	if _, err := open(t, good[:1000]); fault.KindOf(err) != fault.Invalid {
		t.Errorf("the beginning of one: %v, want invalid", err)
	}
}

func TestTwoStoriesAreCompared(t *testing.T) {
	pairs := map[string]string{"e-1": "e-1"}
	before := story(t, `{"total":1}`, function.RunSucceeded)
	for _, c := range []struct {
		name  string
		after *Bundle
		want  function.ReplayReport
	}{
		{"the same", story(t, `{"total": 1}`, function.RunSucceeded), function.ReplayReport{Runs: 1, Same: 1}},
		{"another event", story(t, `{"total":2}`, function.RunSucceeded), function.ReplayReport{Runs: 1, Different: 1}},
		{"it fails", story(t, `{"total":1}`, function.RunDead), function.ReplayReport{Runs: 1, Failing: 1, NewlyFailing: 1}},
		{"it is tried still", story(t, `{"total":1}`, function.RunRetrying), function.ReplayReport{NotRun: 1}},
		{"nothing", &Bundle{}, function.ReplayReport{NotRun: 1}},
	} {
		got, err := Compare(before, c.after, pairs)
		if err != nil {
			t.Fatal(err)
		}
		differences := got.Differences
		if got.Differences = nil; got.Runs != c.want.Runs || got.Same != c.want.Same || got.Different != c.want.Different || got.NewlyFailing != c.want.NewlyFailing || got.NotRun != c.want.NotRun || got.Failing != c.want.Failing {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
		if wanted := c.want.Different + c.want.NewlyFailing; int64(len(differences)) != wanted {
			t.Errorf("%s: %d differences, want %d", c.name, len(differences), wanted)
		}
	}
}

// What attempts took is in the report, as it is in that of a replay.
func TestTimesAreToldOfBothStories(t *testing.T) {
	took := func(d time.Duration) *Bundle {
		b := story(t, "1", function.RunSucceeded)
		b.Runs[0].Attempts = []function.Attempt{{Number: 1, Duration: function.Duration(d)}}
		return b
	}
	got, err := Compare(took(99*time.Millisecond), took(5*time.Millisecond), map[string]string{"e-1": "e-1"})
	if err != nil {
		t.Fatal(err)
	}
	if got.Original.Max.Std() != 99*time.Millisecond || got.Original.P50.Std() != 99*time.Millisecond || got.Replayed.Max.Std() != 5*time.Millisecond {
		t.Errorf("original = %+v, replayed = %+v, want 99 ms and 5 ms", got.Original, got.Replayed)
	}
}

func TestWhatWasEmittedIsComparedToo(t *testing.T) {
	deep := func(state function.RunState) *Bundle {
		b := story(t, "1", function.RunSucceeded)
		b.Runs = append(b.Runs, function.Run{ID: "run-2", Function: "g", Trigger: "t", State: state, Event: function.EventRef{ID: "e-1-out"}})
		return b
	}
	got, err := Compare(deep(function.RunSucceeded), deep(function.RunDead), map[string]string{"e-1": "e-1"})
	if err != nil {
		t.Fatal(err)
	}
	if got.Runs != 2 || got.Same != 1 || got.NewlyFailing != 1 {
		t.Errorf("report = %+v, want the first run the same and the second failing", got)
	}
}

// packed is a bundle with an image of a manifest and two blobs more, and what is stored of it.
func packed(t *testing.T) (*Bundle, map[string]string) {
	b, stored := story(t, "1", function.RunSucceeded), map[string]string{}
	for i, text := range []string{"manifest", "config", strings.Repeat("layer", 1000)} {
		sum := sha256.Sum256([]byte(text))
		digest := "sha256:" + hex.EncodeToString(sum[:])
		stored[digest] = text
		b.Content = append(b.Content, Blob{digest, int64(len(text))})
		if i == 0 {
			b.Manifest.Packed = []string{digest}
		}
	}
	return b, stored
}

func writtenWith(b *Bundle, stored map[string]string) ([]byte, error) {
	var out bytes.Buffer
	err := Write(&out, b, Stores{
		Code: func(_ string, w io.Writer) error {
			_, err := io.WriteString(w, "code")
			return err
		},
		Content: func(digest string) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(stored[digest])), nil
		},
	})
	return out.Bytes(), err
}

func TestImagesArePacked(t *testing.T) {
	b, stored := packed(t)
	text, err := writtenWith(b, stored)
	if err != nil {
		t.Fatal(err)
	}
	o, err := open(t, text)
	if err != nil {
		t.Fatal(err)
	}
	if !o.Packs(b.Manifest.Packed[0]) || o.Packs(b.Content[1].Digest) || o.Packs("") || !slices.Equal(o.Content, b.Content) || len(o.Code) != 1 {
		t.Errorf("read %+v, packed %v, want %v", o.Content, o.Manifest.Packed, b.Content)
	}
	for digest, want := range stored {
		r, size, err := o.Blob(digest)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); string(got) != want || err != nil || size != int64(len(want)) {
			t.Errorf("content %s = %d bytes, size %d, %v", digest, len(got), size, err)
		}
	}
	if _, _, err := o.Blob("sha256:00"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("content that is not there: %v, want not found", err)
	}
	last := func(all []entry) *entry { return &all[len(all)-1] }
	for _, c := range []struct {
		name   string
		change func([]entry) []entry
		want   string
	}{
		{"another byte", func(all []entry) []entry { last(all).text[7] ^= 1; return all }, "is not what the manifest says"},
		{"another byte that is announced", func(all []entry) []entry {
			last(all).text[7] ^= 1
			sum := sha256.Sum256(last(all).text)
			return says(t, func(m *Manifest) { m.Files[len(m.Files)-1].Digest = "sha256:" + hex.EncodeToString(sum[:]) })(all)
		}, "is not what the manifest says"},
		{"a way out", func(all []entry) []entry {
			last(all).header.Name = "images/blobs/sha256/../../../x"
			return says(t, func(m *Manifest) { m.Files[len(m.Files)-1].Path = "images/blobs/sha256/../../../x" })(all)
		}, "which no bundle has"},
		{"the same twice", func(all []entry) []entry {
			return says(t, func(m *Manifest) { m.Files = append(m.Files, m.Files[len(m.Files)-1]) })(append(all, *last(all)))
		}, "twice"},
		{"a manifest that is not there", says(t, func(m *Manifest) { m.Packed = []string{"sha256:00"} }), "the manifest sha256:00 of a packed image is not in it"},
		{"a large index", func(all []entry) []entry {
			for i := range all {
				if all[i].header.Name == indexPath {
					all[i].text = make([]byte, maxFirst+1)
				}
			}
			return says(t, func(m *Manifest) {
				for i := range m.Files {
					if m.Files[i].Path == indexPath {
						m.Files[i].Size = maxFirst + 1
					}
				}
			})(all)
		}, "too large"},
	} {
		_, err := open(t, rewritten(t, text, c.change))
		if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}

	stored[b.Content[2].Digest] = strings.Repeat("LAYER", 1000)
	if _, err := writtenWith(b, stored); err == nil || !strings.Contains(err.Error(), "the content that is stored is sha256:") {
		t.Errorf("content that the disk has changed: %v", err)
	}
}
