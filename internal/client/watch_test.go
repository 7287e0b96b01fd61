package client

import (
	"fmt"
	"strings"
	"testing"
)

func FuzzReadWatched(f *testing.F) {
	f.Add(": dalamb\n\nevent: reset\ndata: {}\n\nevent: function\ndata: {\"kind\":\"function\",\"name\":\"pay\",\"version\":2}\n\n:\n\nid: 3.1\nevent: service\ndata: {\"kind\":\"service\",\"name\":\"web\",\"removed\":true}\n\n")
	f.Add("event: x\ndata: [\n\n")
	f.Add("\n\n\n:::")
	f.Fuzz(func(t *testing.T, text string) {
		n := 0
		for _, err := range readWatched(strings.NewReader(text)) {
			if n++; err != nil && n > len(text) {
				t.Error("more is told than was sent")
			}
		}
	})
}

func TestReadWatched(t *testing.T) {
	var got []string
	for w, err := range readWatched(strings.NewReader(": dalamb\n\nevent: reset\ndata: {}\n\nevent: function\ndata: {\"kind\":\"function\",\"name\":\"pay\",\"version\":2}\n\n:\n\nid: 3.1\nevent: service\ndata: {\"kind\":\"service\",\"name\":\"web\",\"removed\":true}\n\nevent: config\ndata: {\"na")) {
		got = append(got, fmt.Sprintf("%s %s %d %v %s %v %v", w.Kind, w.Name, w.Version, w.Removed, w.Position, w.Reset, err != nil))
	}
	want := []string{"  0 false  true false", "function pay 2 false  false false", "service web 0 true 3.1 false false", "  0 false  false true"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("read %q, want %q", got, want)
	}
}
