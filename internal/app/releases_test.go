package app_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

func (n *node) versions(fn string) (numbers []int) {
	n.t.Helper()
	list, err := n.client.Versions(n.t.Context(), fn)
	if err != nil {
		n.t.Fatal(err)
	}
	for _, v := range list.Versions {
		numbers = append(numbers, v.Number)
	}
	return numbers
}

// says calls a function and wants an answer.
func (n *node) says(fn, want string) {
	n.t.Helper()
	got, err := n.client.Invoke(n.t.Context(), client.Invocation{Function: fn})
	if err != nil || string(got.Payload) != want {
		n.t.Errorf("%s says %q, %v, want %q", fn, got.Payload, err, want)
	}
}

// The code of versions that were let go is removed, and only that: what an alias runs or would go back to is there after a kill too.
func TestCodeGoesWithTheVersionsThatNothingNeeds(t *testing.T) {
	data, dir := t.TempDir(), t.TempDir()
	n := start(t, data)
	release := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "answer"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		n.deploy(dir, "name: say\ncode: .\nkeep: 2\nentry: {type: stdio, command: [cat, answer]}\n")
	}
	for i := range 5 {
		release(fmt.Sprint(i + 1))
		if i == 0 {
			if _, err := n.client.Shift(t.Context(), "say", "preview/x", wire.ShiftRequest{Shares: []wire.Share{{Version: 1}}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := []int{5, 4, 1}
	if got := n.versions("say"); !slices.Equal(got, want) {
		t.Fatalf("versions = %v, want %v", got, want)
	}
	n.kill()
	trees := filepath.Join(data, "code", "sha256")
	codes := func() []os.DirEntry {
		list, err := os.ReadDir(trees)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	if len(codes()) != 5 {
		t.Fatalf("%d directories of code, want five", len(codes()))
	}
	long := time.Now().Add(-24 * time.Hour) // what was uploaded of late stays in any case
	for _, de := range codes() {
		if err := os.Chtimes(filepath.Join(trees, de.Name()), long, long); err != nil {
			t.Fatal(err)
		}
	}
	n = start(t, data)
	until(t, "the code of versions 2 and 3 to be removed", func() bool { return len(codes()) == 3 })
	if got := n.versions("say"); !slices.Equal(got, want) {
		t.Errorf("versions after the kill = %v, want %v", got, want)
	}
	n.says("say:1", "1")
	n.says("say:preview/x", "1")
	n.says("say", "5")
	if _, err := n.client.Rollback(t.Context(), "say", wire.RollbackRequest{}); err != nil {
		t.Fatal(err)
	}
	n.says("say", "4")
	n.stop()
}

// TestARollbackTakesLessThanASecond counts from the command to an answer of the version before.
func TestARollbackTakesLessThanASecond(t *testing.T) {
	n, dir := start(t, t.TempDir()), t.TempDir()
	for _, text := range []string{"1", "2"} {
		if err := os.WriteFile(filepath.Join(dir, "answer"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		n.deploy(dir, "name: say\ncode: .\nentry: {type: stdio, command: [cat, answer]}\n")
	}
	var took []time.Duration
	for range 5 {
		n.says("say", "2")
		begun := time.Now()
		if _, err := n.client.Rollback(t.Context(), "say", wire.RollbackRequest{}); err != nil {
			t.Fatal(err)
		}
		n.says("say", "1")
		took = append(took, time.Since(begun))
		if _, err := n.client.Shift(t.Context(), "say", function.LiveAlias, wire.ShiftRequest{Shares: []wire.Share{{Version: 2}}}); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(took)
	if median := took[len(took)/2]; median >= time.Second {
		t.Errorf("rollbacks took %s, want half of them in less than a second", took)
	}
}
