package registry

import (
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// age lets all content look as if nobody had asked for it for hours.
func (h *harness) age() {
	h.Helper()
	long := time.Now().Add(-2 * time.Hour)
	content := filepath.Join(h.dir, "content", "sha256")
	list, err := os.ReadDir(content)
	for _, de := range list {
		if err == nil {
			err = os.Chtimes(filepath.Join(content, de.Name()), long, long)
		}
	}
	if err != nil {
		h.Fatal(err)
	}
}

// pushUntagged pushes an image by its digest alone, as a deploy does.
func (h *harness) pushUntagged(name, config string, edit func(*document)) string {
	h.Helper()
	h.pushBlob(name, config)
	m := manifestOf(h, config, nil, edit)
	h.putManifest(name, digestOf(m), m)
	return digestOf(m)
}

// pushIndex pushes an index of manifests that are there, by its digest.
func (h *harness) pushIndex(name string, manifests ...string) string {
	h.Helper()
	d := document{SchemaVersion: 2, MediaType: typeIndex}
	for _, digest := range manifests {
		size, err := h.blobs.Size(digest)
		if err != nil {
			h.Fatal(err)
		}
		d.Manifests = append(d.Manifests, descriptor{MediaType: typeManifest, Digest: digest, Size: size})
	}
	text := encode(h, d)
	h.putManifest(name, digestOf(text), text)
	return digestOf(text)
}

func TestExpireTakesWhatNobodyNeeds(t *testing.T) {
	h := serve(t)
	spare := h.pushUntagged("deploy/a", `{"n":1}`, nil)
	used := h.pushUntagged("deploy/a", `{"n":2}`, nil)
	signature := h.pushUntagged("deploy/a", `{"n":3}`, func(d *document) {
		d.Subject = &descriptor{MediaType: typeManifest, Digest: used, Size: 1}
	})
	orphan := h.pushUntagged("deploy/a", `{"n":4}`, func(d *document) {
		d.Subject = &descriptor{MediaType: typeManifest, Digest: spare, Size: 1}
	})
	tagged := h.pushImage("deploy/a", "mine", `{"n":5}`)
	ofUsed := h.pushUntagged("deploy/b", `{"n":6}`, nil)
	usedIndex := h.pushIndex("deploy/b", ofUsed)
	ofSpare := h.pushUntagged("deploy/c", `{"n":7}`, nil)
	spareIndex := h.pushIndex("deploy/c", ofSpare)
	elsewhere := h.pushUntagged("fn/a", `{"n":8}`, nil)
	h.pushBlob("deploy/c", `{"n":2}`) // the config of the one that is used
	seen := h.pushUntagged("deploy/d", `{"n":9}`, nil)
	wanted := func(digest string) bool { return digest == used || digest == usedIndex }

	if n, err := h.Expire(t.Context(), "deploy/", wanted); n != 0 || err != nil {
		t.Errorf("right after the push Expire = %d, %v", n, err)
	}
	h.age()
	h.must(http.StatusOK, call{method: "HEAD", path: "/v2/deploy/d/manifests/" + seen}) // somebody is about to deploy it again
	if n, err := h.Expire(t.Context(), "deploy/", wanted); n != 4 || err != nil {
		t.Errorf("Expire = %d, %v, want 4", n, err)
	}
	for name, c := range map[string]struct {
		repository, digest string
		stays              bool
	}{
		"not needed": {"deploy/a", spare, false}, "needed": {"deploy/a", used, true},
		"about a needed one": {"deploy/a", signature, true}, "about one that goes": {"deploy/a", orphan, false},
		"tagged": {"deploy/a", tagged, true}, "needed index": {"deploy/b", usedIndex, true}, "in a needed index": {"deploy/b", ofUsed, true},
		"index": {"deploy/c", spareIndex, false}, "in an index": {"deploy/c", ofSpare, false},
		"in another repository": {"fn/a", elsewhere, true}, "asked for lately": {"deploy/d", seen, true},
	} {
		if _, err := h.Resolve(c.repository, c.digest); (err == nil) != c.stays {
			t.Errorf("%s: Resolve = %v, want it to stay: %v", name, err, c.stays)
		}
	}
	// The content goes with the next collection. A repository that has nothing left is gone, though its layer is needed elsewhere.
	needed := h.Needed()
	if n, err := h.blobs.GC(func(digest string) bool { return needed[digest] }); n != 7 || err != nil {
		t.Errorf("GC = %d, %v, want 7: manifests and configs of those that went", n, err)
	}
	h.refused(http.StatusNotFound, codeNameUnknown, call{method: "GET", path: "/v2/deploy/c/tags/list"})
}

func TestImagesListsWhatHasANameOfItsOwn(t *testing.T) {
	h := serve(t)
	one := h.pushImage("fn/a", "1", `{}`, "layer")
	h.pushImage("fn/a", "latest", `{}`, "layer")
	h.pushImage("fn/b", "1", `{}`, "layer")
	h.pushUntagged("fn/a", `{"n":3}`, func(d *document) { d.Subject = &descriptor{MediaType: typeManifest, Digest: one, Size: 1} })
	part := h.pushUntagged("deploy/a", `{"n":1}`, nil)
	index := h.pushIndex("deploy/a", part)
	size := func(digests ...string) (sum int64) {
		for _, d := range digests {
			n, err := h.blobs.Size(d)
			if err != nil {
				t.Fatal(err)
			}
			sum += n
		}
		return sum
	}
	want := []Image{
		{Names: []string{"fn/a:1", "fn/a:latest", "fn/b:1"}, Digest: one, Manifests: []string{one}, Bytes: size(one, digestOf("{}"), digestOf("layer"))},
		{Names: []string{"deploy/a@" + index}, Digest: index, Manifests: []string{index, part}, Bytes: size(index, part, digestOf(`{"n":1}`))},
	}
	slices.SortFunc(want, func(a, b Image) int { return strings.Compare(a.Digest, b.Digest) })
	if got := h.Images(); !reflect.DeepEqual(got, want) {
		t.Errorf("Images() = %+v\nwant %+v", got, want)
	}
}
