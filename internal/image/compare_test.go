package image

import (
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
)

func TestCompare(t *testing.T) {
	big := strings.Repeat("x", 200<<10)
	before := files(t, map[string]string{"same": "1", "changed": "one", "gone": "1", "!mode": "1", "d/deep/gone": "1", "d/same": "1", "link": "->same", "big": big + "a", "empty/": "", "a-b": "1", "a/c": "1"})
	after := files(t, map[string]string{"same": "1", "changed": "two", "new": "12", "mode": "1", "d/same": "1", "link": "->changed", "big": big + "b", "n/": "", "a-b": "1", "a/c": "2"})
	got, err := Compare(before, after)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, d := range got {
		switch {
		case d.Before == nil:
			lines = append(lines, "+"+d.Path)
		case d.After == nil:
			lines = append(lines, "-"+d.Path)
		default:
			lines = append(lines, "~"+d.Path)
		}
	}
	const want = "~a/c ~big ~changed -d/deep/gone -empty -gone ~link ~mode +n +new"
	if s := strings.Join(lines, " "); s != want {
		t.Errorf("Compare = %s, want %s", s, want)
	}
	if same, err := Compare(before, before); err != nil || len(same) != 0 {
		t.Errorf("Compare with itself = %+v, %v", same, err)
	}
	if _, err := Compare(before, before+"/nowhere"); err == nil || fault.KindOf(err) == fault.Invalid {
		t.Errorf("Compare with nothing = %v, want an error", err)
	}
}
