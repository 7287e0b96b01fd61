package function

import (
	"strings"
	"testing"
)

func TestATailIsTheEndOfAllThatCame(t *testing.T) {
	var all strings.Builder
	tail := NewTail(10)
	for _, piece := range []string{"one", "", "two", strings.Repeat("long", 9), "x", "yz"} {
		all.WriteString(piece)
		if n, err := tail.Write([]byte(piece)); n != len(piece) || err != nil {
			t.Errorf("Write(%q) = %d, %v", piece, n, err)
		}
	}
	want := all.String()[all.Len()-10:]
	if got := string(tail.Take()); got != want {
		t.Errorf("Take = %q, want %q", got, want)
	}
	tail.Write([]byte("later"))
	if got := string(tail.Take()); got != want {
		t.Errorf("Take after it was taken = %q, want %q", got, want)
	}
}
