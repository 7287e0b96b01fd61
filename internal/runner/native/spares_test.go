//go:build linux

package native

import (
	"testing"

	"github.com/dalamb/dalamb/internal/runner"
)

func TestSpareThatDiedIsNotUsed(t *testing.T) {
	fences(t)
	r, err := New(Options{StateDir: t.TempDir() + "/state", Spare: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.spares.makers.Wait()
	if n := len(r.spares.waiting); n != 2 {
		t.Fatalf("%d spares wait, want 2", n)
	}
	for _, n := range r.spares.waiting {
		n.kill()
		n.wait()
	}
	sb, err := r.Start(t.Context(), runner.Spec{ID: "a", Base: "host", Network: "none", Command: []string{"true"}})
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	<-sb.Done()
	if e := sb.Exit(); e != (runner.Exit{}) {
		t.Errorf("Exit = %+v, want code 0", e)
	}
}
