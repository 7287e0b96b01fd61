package registry

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
)

func TestTheIndexIsBounded(t *testing.T) {
	digest := func(i int) string { return fmt.Sprintf("sha256:%064x", i) }
	for what, fill := range map[string]func(r *repository, more bool){
		"10000 tags": func(r *repository, more bool) {
			for i := range maxTags {
				r.Tags[fmt.Sprint(i)] = digest(0)
			}
			if more {
				r.Tags["more"] = digest(0)
			}
		},
		"10000 manifests": func(r *repository, more bool) {
			for i := range maxManifests {
				r.Manifests[digest(i)] = manifest{}
			}
			if more {
				r.Manifests[digest(maxManifests)] = manifest{}
			}
		},
		"50000 blobs": func(r *repository, more bool) {
			for i := range maxBlobs {
				r.Blobs[digest(i)] = true
			}
			if more {
				r.Blobs[digest(maxBlobs)] = true
			}
		},
		"250000 layers and configs": func(r *repository, more bool) {
			r.Manifests[digest(0)] = manifest{Needs: make([]string, maxReferences)}
			if more {
				r.Manifests[digest(1)] = manifest{Needs: make([]string, 1)}
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			at, beyond := newRepository("a"), newRepository("a")
			fill(at, false)
			fill(beyond, true)
			before := map[string]*repository{"a": at}
			if err := within(map[string]*repository{}, at); err != nil {
				t.Errorf("at the bound: %v", err)
			}
			err := within(before, beyond)
			if fault.KindOf(err) != fault.Exhausted || !strings.Contains(err.Error(), "repository a has "+what) || fault.HintOf(err) == "" {
				t.Errorf("beyond the bound: %v", err)
			}
			if err := within(map[string]*repository{"a": beyond}, beyond.clone()); err != nil {
				t.Errorf("what stays as it is: %v", err)
			}
		})
	}
}

func TestAFullRepositoryIsSaidToTheClient(t *testing.T) {
	h := serve(t)
	h.pushImage("a", "1", "{}", "layer")
	all := map[string]*repository{}
	for i := range maxRepositories {
		all[fmt.Sprint("r", i)] = newRepository(fmt.Sprint("r", i))
	}
	a, err := h.index.get("a")
	if err != nil {
		t.Fatal(err)
	}
	delete(all, "r0")
	all["a"] = a
	h.index.all.Store(&all)
	path := "/v2/new/blobs/uploads/?digest=" + digestOf("{}")
	if says := h.refused(403, codeDenied, call{method: "POST", path: path, body: "{}"}); !strings.Contains(says, "the registry has 10000 repositories; more are not taken: delete some") {
		t.Errorf("message %q", says)
	}
	h.pushImage("a", "2", "{}", "another layer") // what is there takes more still
}

// Somebody has edited an index file, or a disk has spoiled it.
func TestHandWrittenIndex(t *testing.T) {
	digest := digestOf("x")
	for content, wants := range map[string]string{
		`{"name":"a","tags":null,"manifests":null,"blobs":null}`: "",
		`{"name":"a"}`: "",
		`null`:         `that of ""`,
		`{"name":"A"}`: `that of "A"`,
		`{"name":"a","tags":{"1":"` + digest + `"}}`:                                      "names \"" + digest + `", which is not in it`,
		`{"name":"a","tags":{".":"` + digest + `"},"manifests":{"` + digest + `":{}}}`:    `"." is not a tag`,
		`{"name":"a","tags":{"sha256:x":""}}`:                                             `"sha256:x" is not a tag`,
		`{"name":"a","manifests":{"../x":{}}}`:                                            "not a digest",
		`{"name":"a","blobs":{"../x":true}}`:                                              "not a digest",
		`{"name":"a","manifests":{"` + digest + `":null},"tags":{"ok":"` + digest + `"}}`: "",
	} {
		dir := t.TempDir()
		repositories := filepath.Join(dir, "registry", "repositories")
		err := os.MkdirAll(repositories, 0o755)
		if err == nil {
			err = os.WriteFile(filepath.Join(repositories, "a.json"), []byte(content), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		if wants != "" {
			if _, err := openIn(dir); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), wants) || !strings.Contains(err.Error(), "a.json") {
				t.Errorf("Open with %s = %v, want %q", content, err, wants)
			}
			continue
		}
		h := serveFrom(t, dir)
		h.must(http.StatusOK, call{method: "GET", path: "/v2/a/tags/list"})
		h.pushImage("a", "1", "{}", "layer")
		h.must(http.StatusAccepted, call{method: "DELETE", path: "/v2/a/manifests/1"})
	}
}

func TestReferrersAreReadInPieces(t *testing.T) {
	h := serve(t)
	h.pushBlob("a", "{}")
	subject, want := digestOf("subject"), map[string]bool{}
	for i := range 10 { // large for what is not in the answer
		m := manifestOf(t, "{}", nil, func(d *document) {
			d.Subject = &descriptor{MediaType: typeManifest, Digest: subject, Size: 1}
			d.ArtifactType, d.Annotations = "test/large", map[string]string{"n": fmt.Sprint(i)}
			d.Config.Annotations = map[string]string{"large": strings.Repeat("x", maxManifest-2000)}
		})
		h.putManifest("a", digestOf(m), m)
		want[digestOf(m)] = true
	}
	got, pages := h.referrers("/v2/a/referrers/" + subject)
	for _, digest := range got {
		delete(want, digest)
	}
	if len(want) != 0 || pages < 2 {
		t.Errorf("%d pages without %v, want all on more than one", pages, want)
	}
	// What the filter leaves out is not read.
	if got, pages := h.referrers("/v2/a/referrers/" + subject + "?artifactType=test/none"); len(got) != 0 || pages != 1 {
		t.Errorf("%q on %d pages, want nothing on one", got, pages)
	}
	long := manifestOf(t, "{}", nil, func(d *document) {
		d.Subject = &descriptor{MediaType: typeManifest, Digest: subject, Size: 1}
		d.ArtifactType = strings.Repeat("x", maxMediaType+1)
	})
	h.refused(400, codeManifestInvalid, call{method: "PUT", path: "/v2/a/manifests/" + digestOf(long), body: long})
}
