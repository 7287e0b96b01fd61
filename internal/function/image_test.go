package function

import (
	"slices"
	"strings"
	"testing"
)

func TestManifestImage(t *testing.T) {
	for _, c := range []struct {
		text, ref, base, code string
		command               []string
		port                  int
	}{
		{"image: r.example/pay:1\nentry: {type: http}", "r.example/pay:1", "", "", nil, 0},
		{"image: pay\nentry: {type: http, port: 9, command: [run]}", "pay", "", "", []string{"run"}, 9},
		{"image: ./pay.tar\nentry: {type: stdio}", "./pay.tar", "", "", nil, 0},
		{"base: python:3.12\nentry: {type: stdio, command: [./run]}", "python:3.12", "python:3.12", ".", []string{"./run"}, 0},
		{"base: ../images/base\ncode: src\nentry: {type: lambda}", "../images/base", "../images/base", "src", nil, 0},
		{"entry: {type: http, command: [./run]}", "", "host", ".", []string{"./run"}, 8080},
	} {
		m, err := ParseManifest("dalamb.yaml", []byte("name: pay\n"+c.text))
		if err != nil {
			t.Errorf("ParseManifest(%q) = %v", c.text, err)
			continue
		}
		d := m.Functions[0]
		if d.Spec.ImageRef() != c.ref || d.Spec.Base != c.base || d.CodePath != c.code || d.Spec.Entry.Port != c.port || !slices.Equal(d.Spec.Entry.Command, c.command) {
			t.Errorf("%q gives the image %q, base %q, code %q, port %d, command %q; want %+v", c.text, d.Spec.ImageRef(), d.Spec.Base, d.CodePath, d.Spec.Entry.Port, d.Spec.Entry.Command, c)
		}
	}
}

func TestManifestImageErrors(t *testing.T) {
	for text, want := range map[string]string{
		"image: a:1\ncode: src\nentry: {type: http}":     "code: a function that is an image has no code of its own",
		"image: a:1\nbase: host\nentry: {type: http}":    "base: a function that is an image has no base",
		"image: a b\nentry: {type: http}":                `image: "a b" is not a reference to an image`,
		"image: ./\nentry: {type: http}":                 `image: "./" is not the path of an image`,
		"image: /abs.tar\nentry: {type: http}":           `image: "/abs.tar" is not a reference`,
		"base: hots\nentry: {type: stdio, command: [x]}": `base: "hots" is not known (allowed: host, scratch; did you mean host?)`,
		"base: host\nentry: {type: stdio}":               "entry.command: names no program",
		"image: a:1\nentry: {type: http, port: -1}":      "entry.port: -1 is out of range",
	} {
		_, err := ParseManifest("dalamb.yaml", []byte("name: pay\n"+text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseManifest(%q) = %v, want %q", text, err, want)
		}
	}
}

func TestAnImageIsPinned(t *testing.T) {
	for ref, want := range map[string]string{
		"shop":                         "shop@sha256:1",
		"example.org:5000/shop":        "example.org:5000/shop@sha256:1",
		"example.org:5000/shop:v1":     "example.org:5000/shop@sha256:1",
		"example.org/shop:v1@sha256:0": "example.org/shop@sha256:1",
	} {
		img := Image{Reference: ref, Digest: "sha256:1"}
		if got := img.ByDigest(); got != want {
			t.Errorf("ByDigest of %s = %s, want %s", ref, got, want)
		}
	}
}
