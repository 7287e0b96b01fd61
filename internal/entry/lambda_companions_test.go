package entry

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/dalamb/dalamb/internal/runner"
)

// What a link in the code points to is the host's: its names are not the function's to learn.
func TestExtensionsAreNotLookedForOutsideOfTheCode(t *testing.T) {
	host := t.TempDir()
	program := func(dir, name string) {
		t.Helper()
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	program(host, "backup")
	link := func(to, at string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, at); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name string
		make func(code string)
		want []string
	}{
		{"the directory is a link", func(code string) { link(host, filepath.Join(code, extensionDir)) }, nil},
		{"its parent is a link", func(code string) {
			program(filepath.Join(host, "extensions"), "backup")
			link(host, filepath.Join(code, "opt"))
		}, nil},
		{"a file is a link", func(code string) { link(filepath.Join(host, "backup"), filepath.Join(code, extensionDir, "watch")) }, nil},
		{"a link that climbs", func(code string) {
			link("../../../"+filepath.Base(host)+"/backup", filepath.Join(code, extensionDir, "watch"))
		}, nil},
		{"a link within the code", func(code string) {
			program(filepath.Join(code, "bin"), "watch")
			link("../../bin/watch", filepath.Join(code, extensionDir, "watch"))
		}, []string{runner.TaskRoot + "/opt/extensions/watch"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code := t.TempDir()
			tt.make(code)
			if got := extensionPrograms(&runner.Spec{CodeDir: code}); !slices.Equal(got, tt.want) {
				t.Errorf("extensionPrograms = %q, want %q", got, tt.want)
			}
		})
	}
}

// An image's layers are seen as they are mounted; the code's extensions come before those of the image.
func TestExtensionsOfAnImage(t *testing.T) {
	low, high, code := t.TempDir(), t.TempDir(), t.TempDir()
	program := func(dir, name string, mode os.FileMode) {
		t.Helper()
		at := filepath.Join(dir, extensionDir)
		if err := os.MkdirAll(at, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(at, name), nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	program(low, "both", 0o755)
	program(low, "low", 0o755)
	program(low, "off", 0o755)
	program(high, "both", 0o755)
	program(high, "off", 0o644)
	program(code, "both", 0o755)
	want := []string{runner.TaskRoot + "/opt/extensions/both", "/opt/extensions/low"}
	if got := extensionPrograms(&runner.Spec{CodeDir: code, Root: []string{low, high}}); !slices.Equal(got, want) {
		t.Errorf("extensionPrograms = %q, want %q", got, want)
	}
	// A file in the directory's place hides what is below it, as a whiteout does.
	gone := t.TempDir()
	if err := os.WriteFile(filepath.Join(gone, "opt"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := extensionPrograms(&runner.Spec{Root: []string{low, high, gone}}); len(got) != 0 {
		t.Errorf("extensionPrograms = %q, want none", got)
	}
}

// A runtime that asks and goes, again and again, must not fill the queue of an extension that does not ask.
func TestAnExtensionIsToldOfAnInvocationOnce(t *testing.T) {
	c, _ := playRuntime(t)
	e, refused := c.register("inner", []string{"INVOKE"})
	if refused != nil {
		t.Fatal(refused.text)
	}
	for _, body := range []string{"1", "2"} {
		call, err := c.call(payload(body))
		if err != nil {
			t.Fatal(err)
		}
		c.mu.Lock()
		for range 100 {
			c.take(call)
		}
		c.mu.Unlock()
	}
	if len(e.queue) != 2 {
		t.Errorf("the extension was told %d times of 2 invocations", len(e.queue))
	}
}
