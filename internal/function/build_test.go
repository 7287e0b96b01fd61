package function

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/dalamb/dalamb/internal/fault"
)

func TestWhatIsBuilt(t *testing.T) {
	const goMod = "src/go.mod"
	for _, c := range []struct {
		name, build, command string
		files                []string
		want                 string // type; "" = it is not built
	}{
		{"nothing is said, and it is there", "", "./pay", []string{goMod, "src/pay"}, ""},
		{"nothing is said, and it is not there", "", "./pay", []string{goMod}, BuildGo},
		{"nothing is said, and nothing tells how", "", "./pay", nil, ""},
		{"nothing is said, and the program is none of the code", "", "python3", []string{goMod}, ""},
		{"none", "build: {type: none}\n", "./pay", []string{goMod}, ""},
		{"auto", "build: {type: auto}\n", "./pay", []string{goMod, "src/pay"}, BuildGo},
		{"auto, with nothing to tell by", "build: {network: none}\n", "./pay", nil, ""},
		{"said", "build: {type: go}\n", "./pay", nil, BuildGo},
		{"a command", "build: {command: [make]}\n", "./pay", []string{goMod}, BuildCommand},
		{"auto, with a Dockerfile", "build: {type: auto}\n", "./pay", []string{"src/Dockerfile"}, BuildDockerfile},
		{"auto, with a Dockerfile beside what it builds already", "build: {type: auto}\n", "./pay", []string{goMod, "src/Dockerfile"}, BuildGo},
		{"nothing is said, and a Dockerfile", "", "./pay", []string{"src/Dockerfile"}, ""},
		{"said, with a Dockerfile", "build: {type: dockerfile, file: x/Dockerfile}\n", "./pay", nil, BuildDockerfile},
		{"a directory of the name", "", "./pay", []string{goMod + "/x"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := ParseManifest("shop/dalamb.yaml", []byte("name: pay\ncode: src\nentry: {type: stdio, command: ["+c.command+"]}\n"+c.build))
			if err != nil {
				t.Fatal(err)
			}
			files := fstest.MapFS{}
			for _, f := range c.files {
				files["shop/"+f] = &fstest.MapFile{Mode: 0o755}
			}
			got, err := m.Functions[0].Builds("shop/dalamb.yaml", func(path string) (fs.FileInfo, error) { return fs.Stat(files, path) })
			if err != nil {
				t.Fatal(err)
			}
			if got == nil && c.want != "" || got != nil && got.Type != c.want {
				t.Errorf("Builds = %+v, want the type %q", got, c.want)
			}
		})
	}
}

func TestBuildsThatAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"build: {type: golang}":                           `build.type: "golang" is not known`,
		"build: {command: []}":                            "", // as if it were not there
		"build: {type: command}":                          "build.command: names no program",
		"build: {type: go, command: [make]}":              "build.type: go has neither command nor output",
		"build: {command: [make], target: x}":             "build.target: is for type: go",
		"build: {type: go, target: ../x}":                 `build.target: "../x" leads out of the code`,
		"build: {type: go, target: -toolexec=x}":          "build.target: ",
		"build: {command: [make], output: /etc}":          `build.output: "/etc" leads out of the code`,
		"build: {timeout: 3h}":                            "build.timeout: 3h is out of range",
		"build: {network: host}":                          `build.network: "host" is not known`,
		"build: {what: 1}":                                "build.what: unknown field",
		"build: {type: go, args: {A: b}}":                 "build.type: go has none of file, args and secrets",
		"build: {type: dockerfile, file: ../x}":           `build.file: "../x" leads out of the code`,
		"build: {type: dockerfile, args: {a-b: c}}":       `build.args: "a-b" is no name of an argument`,
		"build: {type: dockerfile, args: {A: \"a\\nb\"}}": "build.args.A: has a zero byte or a line end",
		"build: {type: dockerfile, secrets: [A]}":         `build.secrets: "A" is no name for a secret`,
		"build: {type: dockerfile, secrets: [a, a]}":      `build.secrets: "a" is named twice`,
		"build: {type: dockerfile, target: -x}":           `build.target: "-x"`,
		"base: scratch\nbuild: {type: dockerfile}":        "base: a function that is built from a Dockerfile has no base",
		"build: {type: dockerfile, command: [make]}":      "build.type: dockerfile has neither command nor output",
		"image: x:1\nbuild: {type: go}":                   "build: a function that is an image is not built",
		"build: {command: [sh, -c, \"a\\0b\"]}":           "build.command[2]: has a zero byte",
	} {
		manifest := "name: pay\nentry: {type: stdio, command: [./pay]}\n" + text
		_, err := ParseManifest("dalamb.yaml", []byte(manifest))
		if want == "" && err == nil {
			continue
		}
		if err == nil || want == "" || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseManifest of %q = %v, want %q", text, err, want)
		}
	}
	if err := (&Build{Type: BuildAuto}).Validate(); fault.KindOf(err) != fault.Invalid {
		t.Errorf("Validate of a Build without its defaults = %v, want an Invalid fault", err)
	}
}
