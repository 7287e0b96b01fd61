package registry

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// The sections of the OCI distribution specification 1.1, each with what it demands.

func TestPull(t *testing.T) {
	h := serve(t)
	digest := h.pushImage("fn/hello", "1", "{}", "layer")
	for _, ref := range []string{"1", digest} {
		for _, method := range []string{"GET", "HEAD"} {
			got := h.must(http.StatusOK, call{method: method, path: "/v2/fn/hello/manifests/" + ref})
			if got.header.Get("Content-Type") != typeManifest || got.header.Get("Docker-Content-Digest") != digest {
				t.Errorf("%s manifest %s: headers %v", method, ref, got.header)
			}
			if method == "GET" && digestOf(got.body) != digest {
				t.Errorf("GET manifest %s = %s", ref, got.body)
			}
		}
	}
	blob := "/v2/fn/hello/blobs/" + digestOf("layer")
	if got := h.must(http.StatusOK, call{method: "GET", path: blob}); got.body != "layer" {
		t.Errorf("GET blob = %q", got.body)
	}
	if got := h.must(http.StatusOK, call{method: "HEAD", path: blob}); got.header.Get("Content-Length") != "5" {
		t.Errorf("HEAD blob: headers %v", got.header)
	}
	h.refused(404, codeManifestUnknown, call{method: "GET", path: "/v2/fn/hello/manifests/2"})
	h.refused(404, codeManifestUnknown, call{method: "GET", path: "/v2/fn/hello/manifests/" + digestOf("x")})
	h.refused(404, codeBlobUnknown, call{method: "GET", path: "/v2/fn/hello/blobs/" + digestOf("x")})
	h.refused(404, codeNameUnknown, call{method: "GET", path: "/v2/fn/helo/manifests/1"})
	h.must(http.StatusNotFound, call{method: "HEAD", path: "/v2/fn/hello/manifests/2"})
}

func TestPartsOfABlob(t *testing.T) {
	h := serve(t)
	path := "/v2/a/blobs/" + h.pushBlob("a", "0123456789")
	for _, c := range []struct {
		asked  string
		status int
		body   string
	}{{"bytes=2-4", 206, "234"}, {"bytes=7-", 206, "789"}, {"bytes=-2", 206, "89"}, {"bytes=0-99", 206, "0123456789"}} {
		if got := h.must(c.status, call{method: "GET", path: path, header: map[string]string{"Range": c.asked}}); got.body != c.body {
			t.Errorf("GET of %s = %q, want %q", c.asked, got.body, c.body)
		}
	}
	h.must(http.StatusRequestedRangeNotSatisfiable, call{method: "GET", path: path, header: map[string]string{"Range": "bytes=10-"}})
}

func TestUploadInOnePiece(t *testing.T) {
	h := serve(t)
	content := strings.Repeat("x", 100_000)
	for name, push := range map[string]func(string){
		"post alone": func(repo string) { h.pushBlob(repo, content) },
		"post, put": func(repo string) {
			at := h.must(http.StatusAccepted, call{method: "POST", path: "/v2/" + repo + "/blobs/uploads/"}).header.Get("Location")
			h.must(http.StatusCreated, call{method: "PUT", path: at + "?digest=" + digestOf(content), body: content})
		},
		"post, patch, put": func(repo string) {
			at := h.must(http.StatusAccepted, call{method: "POST", path: "/v2/" + repo + "/blobs/uploads/"}).header.Get("Location")
			at = h.must(http.StatusAccepted, call{method: "PATCH", path: at, body: content}).header.Get("Location")
			got := h.must(http.StatusCreated, call{method: "PUT", path: at + "?digest=" + digestOf(content)})
			if want := "/v2/" + repo + "/blobs/" + digestOf(content); got.header.Get("Location") != want {
				t.Errorf("Location = %s, want %s", got.header.Get("Location"), want)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			repo := strings.ReplaceAll(strings.ReplaceAll(name, ",", ""), " ", "-")
			push(repo)
			if got := h.must(http.StatusOK, call{method: "GET", path: "/v2/" + repo + "/blobs/" + digestOf(content)}); got.body != content {
				t.Errorf("GET = %d bytes, want %d", len(got.body), len(content))
			}
		})
	}
}

func TestUploadInChunks(t *testing.T) {
	h := serve(t)
	at := h.must(http.StatusAccepted, call{method: "POST", path: "/v2/a/blobs/uploads/"}).header.Get("Location")
	chunk := func(status int, first, last int, body string) reply {
		t.Helper()
		return h.must(status, call{method: "PATCH", path: at, body: body, header: map[string]string{"Content-Range": fmt.Sprintf("%d-%d", first, last)}})
	}
	if got := chunk(http.StatusAccepted, 0, 3, "0123"); got.header.Get("Range") != "0-3" {
		t.Errorf("Range = %s, want 0-3", got.header.Get("Range"))
	}
	for _, wrong := range [][2]int{{0, 3}, {5, 8}, {100, 103}} {
		got := chunk(http.StatusRequestedRangeNotSatisfiable, wrong[0], wrong[1], "4567")
		if got.header.Get("Range") != "0-3" || got.header.Get("Location") != at {
			t.Errorf("headers of 416 = %v, want where the upload is", got.header)
		}
	}
	if got := h.must(http.StatusNoContent, call{method: "GET", path: at}); got.header.Get("Range") != "0-3" || got.header.Get("Location") != at {
		t.Errorf("status of the upload: %v", got.header)
	}
	for _, bad := range []string{"4", "4-", "-7", "7-4", "bytes 4-7", "4-7/8", "a-b", "4-99999999999999999999"} {
		h.refused(400, codeUploadInvalid, call{method: "PATCH", path: at, body: "4567", header: map[string]string{"Content-Range": bad}})
	}
	h.refused(400, codeSizeInvalid, call{method: "PATCH", path: at, body: "45678", header: map[string]string{"Content-Range": "4-7"}})
	chunk(http.StatusAccepted, 4, 7, "4567")
	h.must(http.StatusCreated, call{method: "PUT", path: at + "?digest=" + digestOf("0123456789"), body: "89", header: map[string]string{"Content-Range": "8-9"}})
	if got := h.must(http.StatusOK, call{method: "GET", path: "/v2/a/blobs/" + digestOf("0123456789")}); got.body != "0123456789" {
		t.Errorf("GET = %q", got.body)
	}
	h.refused(404, codeUploadUnknown, call{method: "GET", path: at})
}

func TestUploadThatIsGivenUp(t *testing.T) {
	h := serve(t)
	at := h.must(http.StatusAccepted, call{method: "POST", path: "/v2/a/blobs/uploads/"}).header.Get("Location")
	h.must(http.StatusAccepted, call{method: "PATCH", path: at, body: "half"})
	h.must(http.StatusNoContent, call{method: "DELETE", path: at})
	for _, method := range []string{"GET", "PATCH", "DELETE"} {
		h.refused(404, codeUploadUnknown, call{method: method, path: at})
	}
	h.refused(404, codeUploadUnknown, call{method: "PUT", path: at + "?digest=" + digestOf("half")})
}

func TestMount(t *testing.T) {
	h := serve(t)
	digest := h.pushBlob("from/here", "layer")
	for _, c := range []struct {
		name, query string
		status      int
	}{
		{"named", "?mount=" + digest + "&from=from/here", http.StatusCreated},
		{"anywhere", "?mount=" + digest, http.StatusCreated},
		{"not-there", "?mount=" + digestOf("other") + "&from=from/here", http.StatusAccepted},
		{"no-repository", "?mount=" + digest + "&from=from/nowhere", http.StatusAccepted},
	} {
		h.must(c.status, call{method: "POST", path: "/v2/" + c.name + "/blobs/uploads/" + c.query})
		want := http.StatusOK
		if c.status == http.StatusAccepted {
			want = http.StatusNotFound
		}
		h.must(want, call{method: "HEAD", path: "/v2/" + c.name + "/blobs/" + digest})
	}
	h.refused(400, codeDigestInvalid, call{method: "POST", path: "/v2/x/blobs/uploads/?mount=sha256:1&from=a"})
	h.refused(400, codeNameInvalid, call{method: "POST", path: "/v2/x/blobs/uploads/?mount=" + digest + "&from=../a"})
}

func TestTagMoves(t *testing.T) {
	h := serve(t)
	one, two := h.pushImage("a", "live", "{}", "one"), h.pushImage("a", "live", "{}", "two")
	if got, err := h.Resolve("a", "live"); err != nil || got.Digest != two || got.MediaType != typeManifest {
		t.Errorf("Resolve(live) = %+v, %v, want %s", got, err, two)
	}
	if got, err := h.Resolve("a", one); err != nil || got.Digest != one {
		t.Errorf("Resolve(the digest before) = %+v, %v", got, err)
	}
}

func TestIndexOfManifests(t *testing.T) {
	h := serve(t)
	child := h.pushImage("multi", "amd64", "{}", "amd64")
	index := func(digest string) string {
		return encode(t, document{SchemaVersion: 2, MediaType: typeIndex, Manifests: []descriptor{{MediaType: typeManifest, Digest: digest, Size: 1}}})
	}
	h.refused(404, codeManifestBlobUnknown, call{method: "PUT", path: "/v2/multi/manifests/1", body: index(digestOf("nothing"))})
	h.putManifest("multi", "1", index(child))
	if got := h.must(http.StatusOK, call{method: "GET", path: "/v2/multi/manifests/1"}); got.header.Get("Content-Type") != typeIndex {
		t.Errorf("Content-Type = %s", got.header.Get("Content-Type"))
	}
	h.refused(405, codeUnsupported, call{method: "DELETE", path: "/v2/multi/manifests/" + child})
	h.must(http.StatusAccepted, call{method: "DELETE", path: "/v2/multi/manifests/" + digestOf(index(child))})
	h.must(http.StatusAccepted, call{method: "DELETE", path: "/v2/multi/manifests/" + child})
}

func TestDelete(t *testing.T) {
	h := serve(t)
	digest := h.pushImage("a", "1", "{}", "layer")
	h.putManifest("a", "2", manifestOf(t, "{}", []string{"layer"}, nil))
	blob := "/v2/a/blobs/" + digestOf("layer")
	h.refused(405, codeUnsupported, call{method: "DELETE", path: blob})
	h.must(http.StatusAccepted, call{method: "DELETE", path: "/v2/a/manifests/1"})
	h.must(http.StatusNotFound, call{method: "GET", path: "/v2/a/manifests/1"})
	h.must(http.StatusOK, call{method: "GET", path: "/v2/a/manifests/2"})
	h.must(http.StatusAccepted, call{method: "DELETE", path: "/v2/a/manifests/" + digest})
	h.must(http.StatusNotFound, call{method: "GET", path: "/v2/a/manifests/2"})
	h.refused(404, codeManifestUnknown, call{method: "DELETE", path: "/v2/a/manifests/" + digest})
	h.must(http.StatusAccepted, call{method: "DELETE", path: blob})
	h.must(http.StatusNotFound, call{method: "GET", path: blob})
	h.refused(404, codeBlobUnknown, call{method: "DELETE", path: blob})
	h.must(http.StatusAccepted, call{method: "DELETE", path: "/v2/a/blobs/" + digestOf("{}")})
	h.refused(404, codeNameUnknown, call{method: "GET", path: "/v2/a/tags/list"}) // nothing is left of it
}

// pages follows a list from page to page.
func (h *harness) pages(path, field string) (all []string, pages int) {
	h.Helper()
	for path != "" {
		got := h.must(http.StatusOK, call{method: "GET", path: path})
		var v map[string]any
		if err := json.Unmarshal([]byte(got.body), &v); err != nil {
			h.Fatal(err)
		}
		for _, row := range v[field].([]any) {
			all = append(all, row.(string))
		}
		pages++
		next, _, _ := strings.Cut(strings.TrimPrefix(got.header.Get("Link"), "<"), ">")
		path = next
	}
	return all, pages
}

func TestLists(t *testing.T) {
	h := serve(t)
	var want []string
	m := manifestOf(t, "{}", nil, nil)
	h.pushBlob("a", "{}")
	for i := range 7 {
		tag := fmt.Sprintf("v%d", i)
		h.putManifest("a", tag, m)
		want = append(want, tag)
	}
	for _, c := range []struct {
		n     string
		pages int
	}{{"", 1}, {"?n=3", 3}, {"?n=7", 1}, {"?n=100000", 1}} {
		if got, pages := h.pages("/v2/a/tags/list"+c.n, "tags"); !slices.Equal(got, want) || pages != c.pages {
			t.Errorf("tags%s = %q on %d pages, want all on %d", c.n, got, pages, c.pages)
		}
	}
	if got, _ := h.pages("/v2/a/tags/list?last=v4", "tags"); !slices.Equal(got, []string{"v5", "v6"}) {
		t.Errorf("tags after v4 = %q", got)
	}
	if got, _ := h.pages("/v2/a/tags/list?last=v45", "tags"); !slices.Equal(got, []string{"v5", "v6"}) {
		t.Errorf("tags after one that is not there = %q", got)
	}
	if got := h.must(http.StatusOK, call{method: "GET", path: "/v2/a/tags/list?n=0"}); !strings.Contains(got.body, `"tags":[]`) {
		t.Errorf("no tags = %s", got.body)
	}
	h.refused(400, codeUnsupported, call{method: "GET", path: "/v2/a/tags/list?n=-1"})
	h.refused(404, codeNameUnknown, call{method: "GET", path: "/v2/b/tags/list"})
	h.pushBlob("b/c", "{}")
	h.pushBlob("b", "{}")
	if got, pages := h.pages("/v2/_catalog?n=1", "repositories"); !slices.Equal(got, []string{"a", "b", "b/c"}) || pages != 3 {
		t.Errorf("catalog = %q on %d pages", got, pages)
	}
}

func TestReferrers(t *testing.T) {
	h := serve(t)
	subject := h.pushImage("a", "1", "{}", "layer")
	absent := digestOf("pushed later")
	refer := func(to, artifact, note string) string {
		m := manifestOf(t, "{}", nil, func(d *document) {
			d.Subject = &descriptor{MediaType: typeManifest, Digest: to, Size: 1}
			d.ArtifactType, d.Annotations = artifact, map[string]string{"note": note}
		})
		if got := h.putManifest("a", digestOf(m), m); got.header.Get("Oci-Subject") != to {
			t.Errorf("OCI-Subject = %q, want %s", got.header.Get("Oci-Subject"), to)
		}
		return digestOf(m)
	}
	list := func(of, query string) (digests, types []string) {
		t.Helper()
		got := h.must(http.StatusOK, call{method: "GET", path: "/v2/a/referrers/" + of + query})
		if got.header.Get("Content-Type") != typeIndex {
			t.Errorf("Content-Type = %s", got.header.Get("Content-Type"))
		}
		if filtered := got.header.Get("Oci-Filters-Applied"); (filtered == "artifactType") != (query != "") {
			t.Errorf("OCI-Filters-Applied = %q for %q", filtered, query)
		}
		var l referrerList
		if err := json.Unmarshal([]byte(got.body), &l); err != nil || l.SchemaVersion != 2 || l.Manifests == nil {
			t.Fatalf("referrers = %s, %v", got.body, err)
		}
		for _, d := range l.Manifests {
			if d.MediaType != typeManifest || d.Size == 0 || d.Annotations["note"] == "" {
				t.Errorf("descriptor = %+v", d)
			}
			digests, types = append(digests, d.Digest), append(types, d.ArtifactType)
		}
		return digests, types
	}
	signature, sbom, early := refer(subject, "test/signature", "s"), refer(subject, "", "b"), refer(absent, "test/signature", "e")
	want := []string{signature, sbom}
	slices.Sort(want)
	if got, _ := list(subject, ""); !slices.Equal(got, want) {
		t.Errorf("referrers = %q, want %q", got, want)
	}
	if got, types := list(subject, "?artifactType="+url.QueryEscape("test/signature")); !slices.Equal(got, []string{signature}) || types[0] != "test/signature" {
		t.Errorf("signatures = %q %q", got, types)
	}
	// Without a type of its own an artifact has that of its config.
	if got, _ := list(subject, "?artifactType="+url.QueryEscape("application/vnd.oci.image.config.v1+json")); !slices.Equal(got, []string{sbom}) {
		t.Errorf("referrers by type of config = %q, want %s", got, sbom)
	}
	if got, _ := list(absent, ""); !slices.Equal(got, []string{early}) {
		t.Errorf("referrers of what is not there = %q, want %s", got, early)
	}
	if got, _ := list(digestOf("nothing"), ""); len(got) != 0 {
		t.Errorf("referrers of nothing = %q", got)
	}
	h.must(http.StatusOK, call{method: "GET", path: "/v2/no/repository/referrers/" + subject})
	h.must(http.StatusAccepted, call{method: "DELETE", path: "/v2/a/manifests/" + signature})
	if got, _ := list(subject, ""); !slices.Equal(got, []string{sbom}) {
		t.Errorf("referrers after a delete = %q, want %s", got, sbom)
	}
	h.refused(400, codeDigestInvalid, call{method: "GET", path: "/v2/a/referrers/latest"})
}

func TestReferrersComeInPages(t *testing.T) {
	h := serve(t)
	h.pushBlob("a", "{}")
	subject, want := digestOf("subject"), map[string]bool{}
	for i := range 3 {
		m := manifestOf(t, "{}", nil, func(d *document) {
			d.Subject = &descriptor{MediaType: typeManifest, Digest: subject, Size: 1}
			d.Annotations = map[string]string{"large": strings.Repeat("x", maxReferrers/2), "n": fmt.Sprint(i)}
		})
		h.putManifest("a", digestOf(m), m)
		want[digestOf(m)] = true
	}
	got, pages := h.referrers("/v2/a/referrers/" + subject)
	for _, digest := range got {
		delete(want, digest)
	}
	if len(want) != 0 || pages != 3 {
		t.Errorf("%d pages without %v, want all on 3", pages, want)
	}
}

// referrers follows a list of referrers from page to page.
func (h *harness) referrers(path string) (digests []string, pages int) {
	h.Helper()
	for path != "" {
		got := h.must(http.StatusOK, call{method: "GET", path: path})
		var l referrerList
		if err := json.Unmarshal([]byte(got.body), &l); err != nil {
			h.Fatal(err)
		}
		for _, d := range l.Manifests {
			digests = append(digests, d.Digest)
		}
		pages++
		path, _, _ = strings.Cut(strings.TrimPrefix(got.header.Get("Link"), "<"), ">")
	}
	return digests, pages
}
