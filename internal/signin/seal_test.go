package signin

import (
	"strings"
	"testing"
)

func TestWhatWasSealedOpensAsItWasSealed(t *testing.T) {
	own := Seal{Secret: []byte("a secret of this test"), Purpose: "session", Place: "shop.example"}
	text, err := own.Close(map[string]string{"who": "alice"})
	if err != nil {
		t.Fatal(err)
	}
	again, err := own.Close(map[string]string{"who": "alice"})
	if err != nil || again == text || strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		t.Errorf("sealed twice: %q and %q, %v; want two texts that a cookie can have", text, again, err)
	}
	var got map[string]string
	if err := own.Open(text, &got); err != nil || got["who"] != "alice" {
		t.Errorf("Open = %v, %v", got, err)
	}
	for what, other := range map[string]Seal{
		"another secret":  {Secret: []byte("a secret of another"), Purpose: own.Purpose, Place: own.Place},
		"another purpose": {Secret: own.Secret, Purpose: "sign-in", Place: own.Place},
		"another place":   {Secret: own.Secret, Purpose: own.Purpose, Place: "evil.example"},
	} {
		var got map[string]string
		if err := other.Open(text, &got); err == nil || got != nil {
			t.Errorf("with %s: Open = %v, %v; want an error", what, got, err)
		}
	}
	for at := range text {
		changed := text[:at] + string("AB"[1-strings.Count(text[at:at+1], "B")]) + text[at+1:]
		var got map[string]string
		if changed != text && own.Open(changed, &got) == nil {
			t.Errorf("changed at %d it opens", at)
		}
	}
	if _, err := own.Close(strings.Repeat("a", maxSealed)); err == nil {
		t.Error("what no browser keeps was sealed")
	}
}

// FuzzOpen holds that nothing opens that was not sealed, and that what opens is what was sealed.
func FuzzOpen(f *testing.F) {
	own := Seal{Secret: []byte("a secret of this test"), Purpose: "session", Place: "shop.example"}
	text, err := own.Close("alice")
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"", text, text[:len(text)-1], text + "A", "AAAA", strings.Repeat("A", maxSealed+1), "%", " " + text} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var got string
		if err := own.Open(s, &got); err == nil && got != "alice" {
			t.Errorf("Open(%q) = %q", s, got)
		}
	})
}
