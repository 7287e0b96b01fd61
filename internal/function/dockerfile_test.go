package function

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

func TestADockerfileNeedsNoCommand(t *testing.T) {
	for _, c := range []struct {
		name, manifest string
		files          []string
		builder        string // "" = an error
		image          string
		port           int
	}{
		{"said", "build: {type: dockerfile}\nentry: {type: http}", nil, BuildDockerfile, ToBeBuilt, 0},
		{"said, with a port", "build: {type: dockerfile}\nentry: {type: http, port: 9000}", nil, BuildDockerfile, ToBeBuilt, 9000},
		{"auto", "build: {type: auto}\nentry: {type: http}", []string{"Containerfile"}, BuildDockerfile, ToBeBuilt, 0},
		{"auto, without one", "build: {type: auto}\nentry: {type: http}", []string{"go.mod"}, "", "", 0},
		{"auto, with a command", "build: {type: auto}\nentry: {type: http, command: [/bin/pay]}", []string{"Dockerfile"}, BuildDockerfile, ToBeBuilt, 0},
		{"auto, with a command and a port", "build: {type: auto}\nentry: {type: http, command: [/bin/pay], port: 8080}", []string{"Dockerfile"}, BuildDockerfile, ToBeBuilt, 8080},
		{"auto, with a command and Go", "build: {type: auto}\nentry: {type: http, command: [./pay]}", []string{"Dockerfile", "go.mod"}, BuildGo, "", 8080},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := ParseManifest("dalamb.yaml", []byte("name: pay\n"+c.manifest))
			if err != nil {
				t.Fatal(err)
			}
			files := fstest.MapFS{}
			for _, f := range c.files {
				files[f] = &fstest.MapFile{}
			}
			d := &m.Functions[0]
			how, err := d.Builds("dalamb.yaml", func(path string) (fs.FileInfo, error) { return fs.Stat(files, path) })
			if c.builder == "" {
				if err == nil || !strings.Contains(err.Error(), "entry.command: is missing") {
					t.Errorf("Builds = %+v, %v, want an error", how, err)
				}
				return
			}
			if err != nil || how == nil || how.Type != c.builder || d.Spec.Image != c.image || d.Spec.Entry.Port != c.port {
				t.Errorf("Builds = %+v, %v with image %q and port %d; want %s, image %q, port %d", how, err, d.Spec.Image, d.Spec.Entry.Port, c.builder, c.image, c.port)
			}
			if _, own := d.OwnProgram(); own && c.image != "" {
				t.Error("an image is started from a program of the code")
			}
			if err := d.Spec.Validate(); err != nil {
				t.Errorf("Validate = %v", err)
			}
		})
	}
	if _, err := ParseManifest("dalamb.yaml", []byte("name: pay\nbuild: {type: go}\nentry: {type: http}")); err == nil {
		t.Error("a function that is built with Go is taken without a command")
	}
}
