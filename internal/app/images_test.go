package app_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/need/broker"
	"github.com/dalamb/dalamb/internal/wire"
)

// speaker is an image whose function says a word.
func speaker(t *testing.T, word string) v1.Image {
	t.Helper()
	program, err := os.ReadFile(need.Program(t, "busybox"))
	if err != nil {
		t.Fatal(err)
	}
	return imageOf(t, v1.Config{Entrypoint: []string{"/bin/busybox", "cat", "/word"}}, map[string]string{"bin/busybox": string(program), "word": word})
}

// imageOf is an image of one layer, with files that everybody may run. What ends with a slash is a directory.
func imageOf(t *testing.T, config v1.Config, files map[string]string) v1.Image {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, content := range files {
		h := tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o755, Size: int64(len(content))}
		if strings.HasSuffix(name, "/") {
			h.Typeflag = tar.TypeDir
		}
		err := w.WriteHeader(&h)
		if err == nil {
			_, err = io.WriteString(w, content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err == nil {
		img, err = mutate.ConfigFile(img, &v1.ConfigFile{OS: "linux", Architecture: runtime.GOARCH, Config: config, RootFS: rootOf(t, img)})
	}
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func rootOf(t *testing.T, img v1.Image) v1.RootFS {
	t.Helper()
	c, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	return c.RootFS
}

// pushImage stores an image in a node's own registry.
func (n *node) pushImage(repository string, img v1.Image) {
	n.t.Helper()
	info, err := n.client.Node(n.t.Context())
	if err != nil {
		n.t.Fatal(err)
	}
	ref, err := name.ParseReference(info.Control + "/" + repository)
	if err == nil {
		err = remote.Write(ref, img, remote.WithContext(n.t.Context()), remote.WithAuth(&authn.Basic{Username: "me", Password: n.token}))
	}
	if err != nil {
		n.t.Fatal(err)
	}
}

// speaks waits until a function answers with a word.
func (n *node) speaks(fn, word string) {
	n.t.Helper()
	until(n.t, "the function to say "+word, func() bool {
		out, err := n.client.Invoke(n.t.Context(), client.Invocation{Function: fn, Payload: []byte("{}")})
		return err == nil && strings.Contains(string(out.Payload), word)
	})
}

// TestAnImagePushedToOneNodeRunsOnAll has two nodes on one Kafka: what is pushed to the registry of the first, its function follows, and
// the second runs it too, though that node's registry has nothing of it.
func TestAnImagePushedToOneNodeRunsOnAll(t *testing.T) {
	need.Linux(t)
	need.Root(t)
	first, second := speaker(t, "first"), speaker(t, "second")
	c := need.KafkaCluster(t, broker.Options{})
	settings := []string{"eventlog=kafka://" + c.Bootstrap(), "runner=native"}
	a, b := start(t, t.TempDir(), settings...), start(t, t.TempDir(), settings...)
	a.pushImage("fn/speaker:stable", first)
	m, err := function.ParseManifest("dalamb.yaml", []byte("name: speaker\nimage: dalamb.internal/fn/speaker:stable\nfollow: true\nentry: {type: stdio}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.client.Deploy(t.Context(), wire.DeployRequest{Spec: m.Functions[0].Spec}); err != nil {
		t.Fatal(err)
	}
	for _, n := range []*node{a, b} {
		n.speaks("speaker", "first")
	}
	a.pushImage("fn/speaker:stable", second)
	for _, n := range []*node{a, b} {
		n.speaks("speaker", "second")
	}
	f, err := b.client.Function(t.Context(), "speaker")
	if err != nil || len(f.Versions) != 2 {
		t.Errorf("the function has %d versions, %v; want 2: one push is one version", len(f.Versions), err)
	}
}

// TestLayersGoWithTheVersionsThatNothingNeeds has images of a layer each: those of versions that were let go are removed, and those of an older one that an
// alias runs, and of what live would go back to, stay.
func TestLayersGoWithTheVersionsThatNothingNeeds(t *testing.T) {
	need.Linux(t)
	need.Root(t)
	t.Parallel()
	data := t.TempDir()
	n := start(t, data, "runner=native")
	for i := range 5 {
		tag := fmt.Sprintf("fn/speaker:%d", i+1)
		n.pushImage(tag, speaker(t, fmt.Sprint(i+1)))
		n.deploy("", "name: speaker\nimage: dalamb.internal/"+tag+"\nkeep: 2\nentry: {type: stdio}\n")
		n.says("speaker", fmt.Sprint(i+1))
		if i == 0 {
			if _, err := n.client.Shift(t.Context(), "speaker", "preview/x", wire.ShiftRequest{Shares: []wire.Share{{Version: 1}}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := []int{5, 4, 1}
	if got := n.versions("speaker"); !slices.Equal(got, want) {
		t.Fatalf("versions = %v, want %v", got, want)
	}
	n.kill()
	trees := filepath.Join(data, "images", "layers", "sha256")
	layers := func() []os.DirEntry {
		list, err := os.ReadDir(trees)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	if len(layers()) != 5 {
		t.Fatalf("%d layers, want five", len(layers()))
	}
	long := time.Now().Add(-24 * time.Hour) // what was unpacked of late stays in any case
	for _, de := range layers() {
		if err := os.Chtimes(filepath.Join(trees, de.Name()), long, long); err != nil {
			t.Fatal(err)
		}
	}
	n = start(t, data, "runner=native")
	until(t, "the layers of versions 2 and 3 to be removed", func() bool { return len(layers()) == 3 })
	n.says("speaker:1", "1")
	n.says("speaker:preview/x", "1")
	n.says("speaker", "5")
	if _, err := n.client.Rollback(t.Context(), "speaker", wire.RollbackRequest{}); err != nil {
		t.Fatal(err)
	}
	n.says("speaker", "4")
	n.stop()
}
