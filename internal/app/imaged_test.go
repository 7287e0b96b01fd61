package app_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/need"
)

// seen is what the program of an image says of itself.
type seen struct {
	Args     []string
	Dir      string
	UID, GID int
	Groups   []int
	Greeting string
	Kept     string
}

// TestAnImageIsAFunction has one image of which the config says everything, as servers at a port and by the Lambda Runtime API: first as it
// is, then with what a manifest says instead, then with code laid upon it.
func TestAnImageIsAFunction(t *testing.T) {
	need.Linux(t)
	need.Root(t)
	img := imaged(t)
	for _, runner := range []string{"native", "oci:runsc"} {
		t.Run(runner, func(t *testing.T) {
			if runtime, ok := strings.CutPrefix(runner, "oci:"); ok {
				need.Program(t, runtime)
			}
			n := start(t, t.TempDir(), "runner=native")
			for entry, c := range map[string]struct{ cmd, instead []string }{
				"http":   {[]string{"http", "9099"}, []string{"/app/imaged", "http", "7070"}},
				"lambda": {[]string{"lambda"}, []string{"/app/imaged", "lambda", "instead"}},
			} {
				t.Run(entry, func(t *testing.T) {
					n.pushImage("fn/"+entry+":1", withCmd(t, img, c.cmd))
					n.asTheImageSays(t, entry, runner, append([]string{"/app/imaged"}, c.cmd...))
					n.asTheManifestSays(t, entry, runner, c.instead)
					n.laidUponAnImage(t, entry, runner, c.instead)
				})
			}
		})
	}
}

// asTheImageSays: all is the config's, its port among it.
func (n *node) asTheImageSays(t *testing.T, entry, runner string, command []string) {
	t.Helper()
	n.deploy("", fmt.Sprintf("name: %[1]s\nimage: dalamb.internal/fn/%[1]s:1\nrunner: %[2]s\nentry: {type: %[1]s}\n", entry, runner))
	n.sees(t, entry, seen{Args: command, Dir: "/app/data", UID: 33, GID: 44, Groups: []int{8}, Greeting: "of the image", Kept: "yes"})
}

// asTheManifestSays: command, port and environment are the manifest's, and what it is silent about is the image's. The instance of before is
// ended as the image asks for.
func (n *node) asTheManifestSays(t *testing.T, entry, runner string, command []string) {
	t.Helper()
	port := ""
	if entry == "http" {
		port = ", port: 7070"
	}
	n.deploy("", fmt.Sprintf("name: %[1]s\nimage: dalamb.internal/fn/%[1]s:1\nrunner: %[2]s\nentry: {type: %[1]s, command: [%[3]s]%[4]s}\nenv: {GREETING: of the manifest}\n",
		entry, runner, strings.Join(quoted(command), ", "), port))
	n.sees(t, entry, seen{Args: command, Dir: "/app/data", UID: 33, GID: 44, Groups: []int{8}, Greeting: "of the manifest", Kept: "yes"})
	until(t, "the instance of the first version to end by the image's signal", func() bool {
		var all []string
		for line, err := range n.client.Logs(t.Context(), client.LogQuery{Function: entry}) {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, line.Text)
		}
		return slices.Contains(all, "ended by user defined signal 2")
	})
}

// laidUponAnImage: the command is the manifest's and runs in the code, as the image's user and in its environment.
func (n *node) laidUponAnImage(t *testing.T, entry, runner string, command []string) {
	t.Helper()
	port := ""
	if entry == "http" {
		port = ", port: 7070"
	}
	code := directory(t, map[string]string{"text": "code"})
	n.deploy(code, fmt.Sprintf("name: laid-%[1]s\nbase: dalamb.internal/fn/%[1]s:1\ncode: .\nrunner: %[2]s\nentry: {type: %[1]s, command: [%[3]s]%[4]s}\n",
		entry, runner, strings.Join(quoted(command), ", "), port))
	n.sees(t, "laid-"+entry, seen{Args: command, Dir: "/var/task", UID: 33, GID: 44, Groups: []int{8}, Greeting: "of the image", Kept: "yes"})
}

// sees asks a function what it sees.
func (n *node) sees(t *testing.T, fn string, want seen) {
	t.Helper()
	out, err := n.client.Invoke(t.Context(), client.Invocation{Function: fn, Payload: []byte("{}")})
	if err != nil {
		t.Fatalf("invoke %s: %v", fn, err)
	}
	var got seen
	if err := json.Unmarshal(out.Payload, &got); err != nil {
		t.Fatalf("%s answers %s: %v", fn, out.Payload, err)
	}
	slices.Sort(got.Groups)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s sees %+v, want %+v", fn, got, want)
	}
}

func quoted(words []string) []string {
	all := make([]string, len(words))
	for i, w := range words {
		all[i] = fmt.Sprintf("%q", w)
	}
	return all
}

// imaged is an image whose config says all that one can.
func imaged(t *testing.T) v1.Image {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "imaged")
	build := exec.Command(need.Program(t, "go"), "build", "-o", bin, "./testdata/imaged")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	program, err := os.ReadFile(bin)
	if err != nil {
		t.Fatal(err)
	}
	return imageOf(t, v1.Config{
		Entrypoint: []string{"/app/imaged"}, Env: []string{"GREETING=of the image", "KEPT=yes"}, User: "web", WorkingDir: "/app/data", StopSignal: "SIGUSR2",
		ExposedPorts: map[string]struct{}{"9099/tcp": {}, "53/udp": {}},
	}, map[string]string{
		"app/imaged": string(program), "app/data/": "", "etc/passwd": "root:x:0:0::/:\nweb:x:33:44::/:\n", "etc/group": "root:x:0:\nweb:x:44:\nmail:x:8:web\n",
	})
}

// withCmd is an image with another CMD.
func withCmd(t *testing.T, img v1.Image, cmd []string) v1.Image {
	t.Helper()
	c, err := img.ConfigFile()
	if err == nil {
		c = c.DeepCopy()
		c.Config.Cmd = cmd
		img, err = mutate.ConfigFile(img, c)
	}
	if err != nil {
		t.Fatal(err)
	}
	return img
}
