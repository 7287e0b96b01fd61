package function

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAManifestWithoutEndIsNotReadWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dalamb.yaml")
	if _, err := ReadManifest(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("ReadManifest of nothing = %v", err)
	}
	if err := os.WriteFile(path, []byte("name: pay"), 0o600); err != nil {
		t.Fatal(err)
	}
	if text, err := ReadManifest(path); err != nil || string(text) != "name: pay" {
		t.Errorf("ReadManifest = %q, %v", text, err)
	}
	if err := os.Truncate(path, 1<<34); err != nil { // nothing of it is stored
		t.Fatal(err)
	}
	text, err := ReadManifest(path)
	if err != nil || len(text) != MaxManifest+1 {
		t.Fatalf("ReadManifest = %d bytes, %v, want one more than there may be", len(text), err)
	}
	if _, err := ParseManifest(path, text); err == nil || !strings.Contains(err.Error(), "the manifest is too large (at most 1048576 bytes are read)") {
		t.Errorf("ParseManifest = %v, want it too large", err)
	}
}
