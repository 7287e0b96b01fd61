package secret

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
)

const value = "hunter2-Zx81-QmVtcA"

func open(t *testing.T, o Options) *Box {
	t.Helper()
	b, err := Open(t.Context(), o)
	if err != nil {
		t.Fatalf("Open(%s): %v", o.File, err)
	}
	return b
}

func seal(t *testing.T, b *Box, name, value string) Sealed {
	t.Helper()
	s, err := b.Seal(t.Context(), name, []byte(value))
	if err != nil {
		t.Fatalf("Seal(%s): %v", name, err)
	}
	return s
}

// program writes a script that is a KMS.
func program(t *testing.T, script string) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kms")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	return []string{"/bin/sh", path}
}

func TestWhatIsSealedIsOpenedByTheSameKeyAfterAStart(t *testing.T) {
	for name, o := range map[string]Options{
		"plain":      {},
		"passphrase": {Passphrase: "correct horse", Work: 4},
		"kms":        {KMS: program(t, `case "$1" in wrap|unwrap) tr 'A-Za-z' 'N-ZA-Mn-za-m';; *) exit 3;; esac`)},
	} {
		t.Run(name, func(t *testing.T) {
			o.File = filepath.Join(t.TempDir(), "secret.key")
			first := open(t, o)
			if first.Key() != "" {
				t.Errorf("Key before the first Seal = %s, want none", first.Key())
			}
			s := seal(t, first, "db", value)
			if bytes.Contains(s.Text, []byte(value)) || strings.Contains(fmt.Sprintf("%+v", s), value) {
				t.Error("what is sealed holds the value")
			}
			info, err := os.Stat(o.File)
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("key file = %v, %v; want mode 0600", info, err)
			}
			second := open(t, o)
			if got, err := second.Open("db", s); err != nil || string(got) != value {
				t.Errorf("Open after a start = %q, %v; want the value", got, err)
			}
			if second.Key() != s.Key || s.Key == "" {
				t.Errorf("Key = %q, want the one that it was sealed for, %q", second.Key(), s.Key)
			}
			text, _ := os.ReadFile(o.File)
			if plain := bytes.Contains(text, []byte("AGE-SECRET-KEY")); plain != (name == "plain") {
				t.Errorf("the file holds the key in plain: %v", plain)
			}
		})
	}
}

func TestAKeyFileThatIsThereIsNeverReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret.key")
	late := open(t, Options{File: path}) // before there is one
	seal(t, open(t, Options{File: path}), "a", value)
	before, _ := os.ReadFile(path)
	if _, err := late.Seal(t.Context(), "b", nil); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("Seal where another node has just made the key = %v, want a refusal", err)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("the key file was replaced")
	}
}

func TestOpenRefusesWhatIsNotItsOwn(t *testing.T) {
	b := open(t, Options{File: filepath.Join(t.TempDir(), "key")})
	other := open(t, Options{File: filepath.Join(t.TempDir(), "key")})
	none := open(t, Options{File: filepath.Join(t.TempDir(), "key")})
	s := seal(t, b, "db", value)
	seal(t, other, "x", "")
	broken := s
	broken.Text = append([]byte(nil), s.Text...)
	broken.Text[len(broken.Text)-1] ^= 1
	for name, c := range map[string]struct {
		box    *Box
		name   string
		sealed Sealed
		words  string
	}{
		"another node's key":    {other, "db", s, "this node has another one"},
		"no key":                {none, "db", s, "this node has no key"},
		"another secret's name": {b, "db2", s, "encrypted as another secret"},
		"a shorter name":        {b, "d", s, "encrypted as another secret"},
		"a changed byte":        {b, "db", broken, "cannot be decrypted"},
		"nothing":               {b, "db", Sealed{Key: s.Key}, "cannot be decrypted"},
	} {
		got, err := c.box.Open(c.name, c.sealed)
		if err == nil || !strings.Contains(err.Error(), c.words) || fault.HintOf(err) == "" {
			t.Errorf("%s: Open = %q, %v; want an error with %q and a hint", name, got, err, c.words)
		}
		if err != nil && strings.Contains(err.Error()+fault.HintOf(err), value) {
			t.Errorf("%s: the error tells the value", name)
		}
	}
}

func TestSealBoundsTheValue(t *testing.T) {
	b := open(t, Options{File: filepath.Join(t.TempDir(), "key")})
	s, err := b.Seal(t.Context(), "all", bytes.Repeat([]byte{0}, MaxValue))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := b.Open("all", s); err != nil || len(got) != MaxValue {
		t.Errorf("Open = %d bytes, %v; want all", len(got), err)
	}
	if _, err := b.Seal(t.Context(), "more", make([]byte, MaxValue+1)); fault.KindOf(err) != fault.TooLarge {
		t.Errorf("Seal of a byte more = %v, want TooLarge", err)
	}
}

func TestOpenSaysWhatIsWrongWithAKeyFile(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	made := func(name string, o Options) string {
		o.File = filepath.Join(dir, name)
		seal(t, open(t, o), "a", "")
		return o.File
	}
	plain := made("plain", Options{})
	locked := made("locked", Options{Passphrase: "right", Work: 4})
	cat := program(t, "cat")
	wrapped := made("wrapped", Options{KMS: cat})
	for name, c := range map[string]struct {
		o     Options
		words string
	}{
		"no name":               {Options{}, "no name"},
		"readable by others":    {Options{File: file("open", "x", 0o644)}, "mode is 0644"},
		"no key":                {Options{File: file("text", "hello\n", 0o600)}, "does not hold one X25519 key"},
		"empty":                 {Options{File: file("empty", "", 0o600)}, "does not hold one X25519 key"},
		"large":                 {Options{File: file("large", strings.Repeat("#\n", maxKeyFile), 0o600)}, "larger than"},
		"directory":             {Options{File: dir}, "is no file"},
		"passphrase missing":    {Options{File: locked}, "encrypted with a passphrase"},
		"passphrase wrong":      {Options{File: locked, Passphrase: "left"}, "does not open the key"},
		"passphrase not needed": {Options{File: plain, Passphrase: "x"}, "not encrypted"},
		"program missing":       {Options{File: wrapped}, "wrapped by a program"},
		"program not needed":    {Options{File: plain, KMS: cat}, "not wrapped"},
		"program fails":         {Options{File: wrapped, KMS: program(t, "echo no such key >&2; exit 4")}, "exit status 4"},
		"program is silent":     {Options{File: wrapped, KMS: program(t, "exit 0")}, "printed nothing"},
		"program is loud":       {Options{File: wrapped, KMS: program(t, "head -c 200000 /dev/zero")}, "printed too much"},
		"program not there":     {Options{File: wrapped, KMS: []string{filepath.Join(dir, "nowhere")}}, "nowhere"},
	} {
		_, err := Open(t.Context(), c.o)
		if err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: Open = %v, want an error with %q", name, err, c.words)
		}
		if err != nil && strings.Contains(err.Error()+fault.HintOf(err), "AGE-SECRET-KEY") {
			t.Errorf("%s: the error tells the key", name)
		}
	}
}

func TestAKeyIsNotMadeWhereItCouldNotBeHadBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	b := open(t, Options{File: path, KMS: program(t, `[ "$1" = wrap ] && cat || echo other`)})
	if _, err := b.Seal(t.Context(), "a", nil); err == nil || !strings.Contains(err.Error(), "does not give back") {
		t.Errorf("Seal = %v, want a refusal", err)
	}
	if _, err := os.Stat(path); err == nil || b.Key() != "" {
		t.Error("a key is there, want none")
	}
}

func TestReadPassphrase(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct{ text, want, words string }{
		"a line":         {"correct horse\n", "correct horse", ""},
		"without an end": {"x", "x", ""},
		"from Windows":   {"x\r\ny\r\n", "x", ""},
		"empty":          {"", "", "first line is empty"},
		"too long":       {strings.Repeat("x", maxPassphrase+1), "", "no passphrase"},
	} {
		path := filepath.Join(dir, "p")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := ReadPassphrase(path)
		if got != c.want || (err == nil) != (c.words == "") || err != nil && !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: ReadPassphrase = %q, %v; want %q, %q", name, got, err, c.want, c.words)
		}
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := w.WriteString("by pipe\n"); err != nil {
		t.Fatal(err)
	}
	w.Close()
	fd, err := syscall.Dup(int(r.Fd())) // it is closed by who reads it
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ReadPassphrase(fmt.Sprintf("fd:%d", fd)); got != "by pipe" || err != nil {
		t.Errorf("ReadPassphrase(fd) = %q, %v", got, err)
	}
	for _, from := range []string{"fd:", "fd:-1", "fd:x", "fd:1048000", filepath.Join(dir, "none")} {
		if _, err := ReadPassphrase(from); fault.KindOf(err) != fault.Invalid {
			t.Errorf("ReadPassphrase(%s) = %v, want Invalid", from, err)
		}
	}
}

// FuzzOpen: whatever stands in the log as a sealed value is refused with words, and tells nothing else.
func FuzzOpen(f *testing.F) {
	b, err := Open(f.Context(), Options{File: filepath.Join(f.TempDir(), "key")})
	if err != nil {
		f.Fatal(err)
	}
	s, err := b.Seal(f.Context(), "db", []byte(value))
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][]byte{nil, s.Text, s.Text[:len(s.Text)-1], s.Text[:40], []byte("age-encryption.org/v1\n-> X25519 a\nb\n--- c\n")} {
		f.Add("db", seed)
		f.Add("other", seed)
	}
	f.Fuzz(func(t *testing.T, name string, text []byte) {
		got, err := b.Open(name, Sealed{Key: s.Key, Text: text})
		switch whole := name == "db" && bytes.Equal(text, s.Text); {
		case whole && (err != nil || string(got) != value):
			t.Errorf("Open = %q, %v; want the value", got, err)
		case !whole && fault.KindOf(err) != fault.Unavailable:
			t.Errorf("Open(%q, %q) = %q, %v; want a refusal", name, text, got, err)
		}
	})
}

// A node that is killed while it makes its key leaves one aside, which nobody may find there later.
func TestWhatAKilledNodeLeftOfAKeyIsRemoved(t *testing.T) {
	dir := t.TempDir()
	left, mine := filepath.Join(dir, ".aside-123"), filepath.Join(dir, "notes")
	for _, path := range []string{left, mine} {
		if err := os.WriteFile(path, []byte("AGE-SECRET-KEY-1"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	open(t, Options{File: filepath.Join(dir, "secret.key")})
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what was left aside: %v, want it gone", err)
	}
	if _, err := os.Stat(mine); err != nil {
		t.Errorf("another file of the directory: %v", err)
	}
}
