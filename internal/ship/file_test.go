package ship

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// content is what a file holds, unpacked.
func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(path, gzipped) {
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if b, err = io.ReadAll(z); err != nil {
			t.Fatal(err)
		}
	}
	return string(b)
}

// texts are the words that stand last in the lines of a file.
func texts(t *testing.T, path string) string {
	var all []string
	for line := range strings.Lines(content(t, path)) {
		words := strings.Fields(line)
		all = append(all, words[len(words)-1])
	}
	return strings.Join(all, " ")
}

func send(t *testing.T, s Sink, texts ...string) {
	t.Helper()
	if err := s.Send(t.Context(), some(texts...)); err != nil {
		t.Fatal(err)
	}
}

func TestAFileHasAnObjectALine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	f := NewFile(FileOptions{Path: path})
	defer f.Close()
	send(t, f, `{"level":"warn","msg":"no <flour>","n":1.50}`, "plain\x1b[2J")
	want := `{"id":"id-0","time":"2023-11-14T22:13:20.005Z","level":"warn","function":"pay","version":2,"run":"r-1","instance":"i-1","stream":"stderr","message":"no <flour>","fields":{"n":1.50}}
{"id":"id-1","time":"2023-11-14T22:13:20.005Z","level":"info","function":"pay","version":2,"run":"r-1","instance":"i-1","stream":"stderr","message":"plain\u001b[2J"}
`
	if got := content(t, path); got != want {
		t.Errorf("the file has\n%swant\n%s", got, want)
	}
}

func TestAFileIsBegunAnewByItsSize(t *testing.T) {
	for _, packed := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "a.log")
		now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		o := FileOptions{Path: path, Text: true, Size: 90, Keep: 2, Gzip: packed, Now: func() time.Time { now = now.Add(time.Second); return now }}
		f := NewFile(o)
		send(t, f, "a", "b") // 82 bytes
		f.Close()
		f = NewFile(o) // a restart goes on
		for _, text := range []string{"c", "d", "e", "f", "g", "h"} {
			send(t, f, text)
		}
		f.Close()
		old, err := f.older()
		if err != nil || len(old) != 2 {
			t.Fatalf("older files are %v, %v, want 2", old, err)
		}
		if got := texts(t, old[0]) + "|" + texts(t, old[1]) + "|" + texts(t, path); got != "c d|e f|g h" {
			t.Errorf("packed %v: the files have %s", packed, got)
		}
		if strings.HasSuffix(old[0], gzipped) != packed {
			t.Errorf("packed %v: %v", packed, old)
		}
	}
}

func TestAFileIsBegunAnewByItsAge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	now := time.Unix(1_700_000_000, 0)
	o := FileOptions{Path: path, Age: time.Hour, Keep: 5, Now: func() time.Time { return now }}
	f := NewFile(o)
	send(t, f, "a")
	f.Close()
	now = now.Add(59 * time.Minute)
	f = NewFile(o) // a restart does not make it younger
	send(t, f, "b")
	if old, _ := f.older(); len(old) != 0 {
		t.Fatalf("after 59 minutes there are %v", old)
	}
	now = now.Add(2 * time.Minute)
	send(t, f, "c")
	defer f.Close()
	if old, _ := f.older(); len(old) != 1 || strings.Count(content(t, old[0]), "\n") != 2 || strings.Count(content(t, path), "\n") != 1 {
		t.Errorf("after an hour there are %v", old)
	}
}

func TestAFileThatSomebodyMovesIsMadeAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	f := NewFile(FileOptions{Path: path, Text: true})
	defer f.Close()
	send(t, f, "a")
	if err := os.Rename(path, path+".moved"); err != nil {
		t.Fatal(err)
	}
	send(t, f, "b")
	if got := texts(t, path+".moved") + "|" + texts(t, path); got != "a|b" {
		t.Errorf("the files have %s", got)
	}
	if err := NewFile(FileOptions{Path: filepath.Join(path, "below")}).Check(t.Context()); err == nil {
		t.Error("a file below a file can be had")
	}
}

// TestWhatAKillLeftHalfPackedIsPacked: nothing of an older file is lost, or there twice.
func TestWhatAKillLeftHalfPackedIsPacked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	old := path + ".20260102T030405.000"
	for name, text := range map[string]string{old: "whole a\n", old + ".gz.part": "half", path + ".note": "not dalamb's"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f := NewFile(FileOptions{Path: path, Keep: 3, Gzip: true})
	defer f.Close()
	send(t, f, "b")
	all, err := filepath.Glob(path + "*")
	if err != nil || len(all) != 3 || texts(t, old+gzipped) != "a" {
		t.Errorf("there are %v, %v", all, err)
	}
}
