package entry

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// dynamic is an ELF file of which nothing is right but the name of its loader.
func dynamic(loader string) []byte {
	b := make([]byte, 64+2*56, 256)
	copy(b, "\x7fELF\x02\x01\x01")
	le := binary.LittleEndian
	le.PutUint64(b[32:], 64)
	le.PutUint16(b[54:], 56)
	le.PutUint16(b[56:], 2)
	le.PutUint32(b[64:], 6) // PT_PHDR
	le.PutUint32(b[64+56:], 3)
	le.PutUint64(b[64+56+8:], uint64(len(b)))
	le.PutUint64(b[64+56+32:], uint64(len(loader)+1))
	return append(append(b, loader...), 0)
}

func TestWhatAProgramNeedsToRun(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		content []byte
		want    string
	}{
		"script":      {[]byte("#!/usr/bin/foo -x\necho"), "its interpreter /usr/bin/foo is not there"},
		"spaced":      {[]byte("#! \t/opt/bar\n"), "its interpreter /opt/bar is not there"},
		"unended":     {[]byte("#!/opt/bar"), "its interpreter /opt/bar is not there"},
		"dos":         {[]byte("#!/bin/sh\r\necho\r\n"), `its interpreter would be "/bin/sh\r"; write it with line feeds alone`},
		"of nothing":  {[]byte("#!\n"), ""},
		"dynamic":     {dynamic("/lib/ld-musl-x86_64.so.1"), "its loader /lib/ld-musl-x86_64.so.1 is not there, since it is linked dynamically"},
		"cut":         {dynamic("/lib/ld-musl-x86_64.so.1")[:100], ""},
		"plain":       {[]byte("hello"), ""},
		"nothing":     {nil, ""},
		"not foreign": {[]byte("\x7fELF\x01\x01 of 32 bits"), ""},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), c.content, 0o755); err != nil {
			t.Fatal(err)
		}
		if got := needs(dir, name); !strings.HasPrefix(got, c.want) && !strings.Contains(got, c.want) || (c.want == "") != (got == "") {
			t.Errorf("needs(%s) = %q, want %q", name, got, c.want)
		}
	}
}

// TestOnlyPlainFilesOfADirectoryAreOpened: the code is a stranger's.
func TestOnlyPlainFilesOfADirectoryAreOpened(t *testing.T) {
	dir, outside := t.TempDir(), filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("#!/secret/of/the/host\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"link": outside, "parent": filepath.Dir(outside)} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"link", "parent/secret", "../" + filepath.Base(filepath.Dir(outside)) + "/secret", "pipe", "none", "."} {
		if got := needs(dir, name); got != "" {
			t.Errorf("needs(%s) = %q, want nothing to be read", name, got)
		}
	}
}

func FuzzLoader(f *testing.F) {
	for _, seed := range [][]byte{dynamic("/lib64/ld-linux-x86-64.so.2"), dynamic("")[:80], []byte("#!/bin/sh"), nil} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		if got := loaderOf(bytes.NewReader(file)); len(got) > 3*maxLoader {
			t.Errorf("loaderOf gave %d bytes", len(got))
		}
		if got, ok := shebang(file); ok && (got == "" || strings.ContainsAny(got, "\n \t")) {
			t.Errorf("shebang(%q) = %q", file, got)
		}
	})
}

func TestAStartThatFailsSaysWhatIsMissing(t *testing.T) {
	forRunners(t, func(t *testing.T, s *stage) {
		if err := os.WriteFile(filepath.Join(s.code, "boot"), []byte("#!/usr/bin/foo\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		err := s.startError(version("lambda:echo", func(spec *function.Spec) { spec.Entry.Command = []string{"./boot", "--fast"} }))
		wantFailure(t, err.Result(), function.InitError, "Runtime.InvalidEntrypoint", `cannot start "./boot --fast": its interpreter /usr/bin/foo is not there`)
	})
}

func TestAFunctionThatListensElsewhereIsToldWhere(t *testing.T) {
	s := newNativeStage(t, func(o *Options) { o.InitTimeout = 2 * time.Second })
	for behaves, want := range map[string]string{
		"http:elsewhere":   "nothing accepted a connection on its port 8080 (environment variable PORT); it listens on port 3000, 5000 instead: set entry.port to it",
		"lambda:elsewhere": "it did not ask the Runtime API at AWS_LAMBDA_RUNTIME_API for an invocation; it listens on port 3000, 5000: a function that serves HTTP has entry.type http",
		"http:deaf":        "nothing accepted a connection on its port 8080 (environment variable PORT)",
	} {
		t.Run(behaves, func(t *testing.T) {
			t.Parallel()
			wantFailure(t, s.startError(version(behaves)).Result(), function.InitError, "Sandbox.Timedout", want)
		})
	}
}
