package provision

import (
	"runtime"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/dalamb/dalamb/internal/function"
)

func TestAPullTellsHowFarItIs(t *testing.T) {
	o := newOrigin(t)
	small, large := layerOf(t, map[string]string{"a": "a"}), layerOf(t, map[string]string{"b": strings.Repeat("content ", 1000)})
	k := newKeeper(t, &shared{}, nil)
	prepare := func(ref string) error {
		_, _, err := k.Prepare(t.Context(), spec(ref, function.Entry{Type: function.EntryStdio}))
		return err
	}
	if err := prepare(o.push(t, "pay:1", v1.Config{Cmd: []string{"a"}}, small)); err != nil {
		t.Fatal(err)
	}
	if got := k.Pulls(); len(got) != 0 {
		t.Errorf("Pulls = %+v when nothing is on its way", got)
	}
	ref := o.push(t, "pay:2", v1.Config{Cmd: []string{"a"}}, small, large)
	rest, done := make(chan struct{}), make(chan error, 1)
	o.half.Store(&rest)
	go func() { done <- prepare(ref) }()
	size, err := large.Size()
	if err != nil {
		t.Fatal(err)
	}
	want := Pull{Reference: ref, Layers: 1, Bytes: size, Came: size / 2} // the other layer is here
	for limit := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		got := k.Pulls()
		if len(got) == 1 && got[0] == want {
			break
		}
		if time.Now().After(limit) {
			t.Fatalf("Pulls = %+v, want %+v", got, want)
		}
	}
	close(rest)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := k.Pulls(); len(got) != 0 {
		t.Errorf("Pulls = %+v after the pull", got)
	}
}
