package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
)

func TestANodeKeepsItsID(t *testing.T) {
	dir := t.TempDir()
	id, err := nodeID(dir)
	if err != nil {
		t.Fatal(err)
	}
	if plainName(id) != id || len(id) < 12 {
		t.Errorf("nodeID = %q, want a plain name", id)
	}
	if again, err := nodeID(dir); err != nil || again != id {
		t.Errorf("nodeID again = %q, %v, want %q", again, err, id)
	}
	if other, err := nodeID(t.TempDir()); err != nil || other == id {
		t.Errorf("nodeID of another directory = %q, %v, want another", other, err)
	}
}

func TestADamagedNodeIDIsRefused(t *testing.T) {
	for name, text := range map[string]string{"empty": "\n", "two words": "a b", "long": strings.Repeat("x", 81)} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, nodeIDFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if id, err := nodeID(dir); fault.KindOf(err) != fault.Invalid || fault.HintOf(err) == "" {
			t.Errorf("%s: nodeID = %q, %v, want Invalid with a hint", name, id, err)
		}
	}
}

func TestADataDirectoryServesOneNode(t *testing.T) {
	dir := t.TempDir()
	lock, err := lockData(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockData(dir); fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), dir) {
		t.Errorf("the second lock = %v, want a conflict that names the directory", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	lock, err = lockData(dir)
	if err != nil {
		t.Fatalf("after the first has left: %v", err)
	}
	lock.Close()
}
