package function

import (
	"reflect"
	"strings"
	"testing"
)

func TestFollowWantsATag(t *testing.T) {
	for text, want := range map[string]string{
		"image: registry.example.com/shop/pay:stable\nfollow: true\nentry: {type: stdio}":        "",
		"base: python:3.12\nfollow: true\nentry: {type: stdio, command: [python3]}":              "",
		"image: pay@sha256:" + strings.Repeat("0", 64) + "\nfollow: false\nentry: {type: stdio}": "",
		"image: pay@sha256:" + strings.Repeat("0", 64) + "\nfollow: true\nentry: {type: stdio}":  "always means the same image",
		"image: ./pay.tar\nfollow: true\nentry: {type: stdio}":                                   "a file beside the manifest cannot be followed",
		"follow: true\nentry: {type: stdio, command: [sh]}":                                      "there is no image to follow",
		"image: pay:1\nfollow: yes please\nentry: {type: stdio}":                                 `follow: is the text "yes please", not true or false`,
	} {
		_, err := ParseManifest("dalamb.yaml", []byte("name: pay\n"+text+"\n"))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("ParseManifest of %q = %v, want %q", text, err, want)
		}
	}
}

func TestDeclaredIsWithoutWhatTheImageGave(t *testing.T) {
	for _, s := range []Spec{
		{Name: "pay", Entry: Entry{Type: EntryHTTP}},
		{Name: "pay", Entry: Entry{Type: EntryHTTP, Port: 90}},
		{Name: "pay", Entry: Entry{Type: EntryHTTP, Port: 90, Command: []string{"mine"}}},
		{Name: "pay", Entry: Entry{Type: EntryStdio}},
	} {
		v := Version{Image: &Image{}, Spec: s}
		v.Image.Give(&v.Spec, []string{"its"}, 80)
		if len(v.Spec.Entry.Command) == 0 || (v.Spec.Entry.Type == EntryHTTP) != (v.Spec.Entry.Port != 0) {
			t.Errorf("Give made %+v of %+v", v.Spec.Entry, s.Entry)
		}
		if got := v.Declared(); !reflect.DeepEqual(got, s) {
			t.Errorf("Declared = %+v, want %+v", got.Entry, s.Entry)
		}
	}
	plain := Version{Spec: Spec{Entry: Entry{Command: []string{"x"}}}}
	if got := plain.Declared(); len(got.Entry.Command) != 1 {
		t.Errorf("Declared without an image = %+v", got)
	}
}
