package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
)

// manifests are images of which there is a manifest for every reference, and no content.
type manifests struct {
	raw func(ref string) []byte

	mu      sync.Mutex
	brought int
}

func (m *manifests) Manifest(_ context.Context, ref string) (*Manifest, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.brought++
	return &Manifest{Raw: m.raw(ref), Type: "application/vnd.oci.image.manifest.v1+json", Digest: "sha256:" + ref}, nil
}

func (*manifests) Content(context.Context, string, string, int64) (io.ReadCloser, error) {
	return nil, errors.New("no content")
}

func (*manifests) Put(context.Context, string, string) (string, error) {
	return "", errors.New("no store")
}

func (*manifests) Place(string) (string, string, error) { return "reg.test", "base", nil }

// asking is one build of an image, and how it asks for a tag.
func asking(t *testing.T, images Images) (*imageBuild, func(tag string) int) {
	t.Helper()
	img, err := newImageBuild(images, []string{"reg.test/base:1"})
	if err != nil {
		t.Fatal(err)
	}
	return img, func(tag string) int {
		w := httptest.NewRecorder()
		img.answer(w, httptest.NewRequest(http.MethodGet, "/v2/0/base/manifests/"+tag, nil))
		return w.Code
	}
}

func TestWhatABuildAsksForIsBounded(t *testing.T) {
	big := bytes.Repeat([]byte(" "), 4<<20)
	var many strings.Builder
	for i := range maxNamed / 4 {
		fmt.Fprintf(&many, `,{"digest":"%%[1]s%d"}`, i)
	}
	for name, c := range map[string]struct {
		raw   func(ref string) []byte
		fits  int
		wants string
	}{
		"bytes": {func(string) []byte { return big }, 4, "more than 16 MiB"},
		"parts": {func(ref string) []byte { return fmt.Appendf(nil, `{"layers":[{}`+many.String()+`]}`, ref) }, 3, "name more than 16384"},
	} {
		t.Run(name, func(t *testing.T) {
			images := &manifests{raw: c.raw}
			img, ask := asking(t, images)
			for i := range c.fits {
				for range 2 { // the second time it is there
					if code := ask(fmt.Sprint(i)); code != http.StatusOK || img.trouble() != nil {
						t.Fatalf("manifest %d: %d, %v", i, code, img.trouble())
					}
				}
			}
			if images.brought != c.fits {
				t.Errorf("%d manifests were looked for in the registry, want %d", images.brought, c.fits)
			}
			if code := ask("more"); code != http.StatusNotFound {
				t.Errorf("one more: %d, want it refused", code)
			}
			if err := img.trouble(); fault.KindOf(err) != fault.Invalid || !strings.Contains(fmt.Sprint(err), c.wants) || fault.HintOf(err) == "" {
				t.Errorf("trouble = %v, want an Invalid fault of %q with a hint", err, c.wants)
			}
			if img.asked[named("reg.test/base", "more")] != nil || img.bytes > maxManifests || len(img.sizes) > maxNamed {
				t.Errorf("what is too much is kept: %d bytes, %d parts", img.bytes, len(img.sizes))
			}
		})
	}
}

func TestAManifestIsBroughtOnceForAllWhoAskAtATime(t *testing.T) {
	images := &manifests{raw: func(string) []byte { return []byte("{}") }}
	img, ask := asking(t, images)
	var all sync.WaitGroup
	for range maxBuildConns {
		all.Go(func() {
			if code := ask("1"); code != http.StatusOK {
				t.Errorf("a manifest: %d", code)
			}
		})
	}
	all.Wait()
	if images.brought != 1 || img.bytes != 2 {
		t.Errorf("it was brought %d times and counted as %d bytes, want once and 2", images.brought, img.bytes)
	}
}
