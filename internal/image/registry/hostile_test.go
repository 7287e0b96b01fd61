package registry

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
)

func TestTokenIsAskedFor(t *testing.T) {
	h := serve(t)
	for name, c := range map[string]struct {
		authorization string
		status        int
	}{
		"none":           {"", 401},
		"other":          {"Bearer other", 401},
		"other password": {"Basic YTpi", 401},
		"no password":    {"Basic YTo=", 401},
		"cut short":      {"Bearer " + token[:8], 401},
		"empty":          {"Bearer ", 401},
		"not a scheme":   {token, 401},
		"bearer":         {"Bearer " + token, 200},
		"basic":          {"Basic ZG9ja2VyOjAxMjM0NTY3ODlhYmNkZWY=", 200},
	} {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{"/v2/", "/v2/_catalog"} {
				r := call{method: "GET", path: path, noToken: true, header: map[string]string{"Authorization": c.authorization}}
				if c.status == 200 {
					h.must(200, r)
					continue
				}
				h.refused(401, codeUnauthorized, r)
				if got := h.do(r).header.Get("WWW-Authenticate"); !strings.HasPrefix(got, "Basic ") {
					t.Errorf("WWW-Authenticate = %q", got)
				}
			}
		})
	}
}

func TestBadPathsAndNames(t *testing.T) {
	h := serve(t)
	long := strings.Repeat("a/", 150) + "a"
	for _, c := range []struct {
		method, path string
		status       int
		code         string
	}{
		{"GET", "/v2/nothing", 404, codeUnsupported},
		{"GET", "/v2/a/b/c", 404, codeUnsupported},
		{"GET", "/v2//tags/list", 400, codeNameInvalid},
		{"GET", "/v2/A/tags/list", 400, codeNameInvalid},
		{"GET", "/v2/a..b/tags/list", 400, codeNameInvalid},
		{"GET", "/v2/%2e%2e/tags/list", 400, codeNameInvalid},
		{"GET", "/v2/a%2f..%2fb/tags/list", 400, codeNameInvalid},
		{"GET", "/v2/a,b/tags/list", 400, codeNameInvalid},
		{"GET", "/v2/a%00/tags/list", 400, codeNameInvalid},
		{"GET", "/v2/" + long + "/tags/list", 400, codeNameInvalid},
		{"GET", "/v2/a/manifests/.x", 400, codeManifestInvalid},
		{"GET", "/v2/a/manifests/" + strings.Repeat("x", 129), 400, codeManifestInvalid},
		{"GET", "/v2/a/manifests/sha256:zz", 400, codeDigestInvalid},
		{"GET", "/v2/a/manifests/sha512:" + strings.Repeat("0", 128), 400, codeDigestInvalid},
		{"GET", "/v2/a/blobs/" + strings.Repeat("0", 64), 400, codeDigestInvalid},
		{"GET", "/v2/a/blobs/sha256:" + strings.Repeat("A", 64), 400, codeDigestInvalid},
		{"PATCH", "/v2/a/blobs/uploads/..", 404, codeUploadUnknown},
		{"PATCH", "/v2/a/blobs/uploads/" + strings.Repeat("0", 32), 404, codeUploadUnknown},
		{"POST", "/v2/a/manifests/1", 405, codeUnsupported},
		{"PUT", "/v2/", 405, codeUnsupported},
		{"PUT", "/v2/a/tags/list", 405, codeUnsupported},
		{"POST", "/v2/a/blobs/uploads/?digest=md5:1", 400, codeDigestInvalid},
	} {
		h.refused(c.status, c.code, call{method: c.method, path: c.path})
	}
}

func TestManifestsThatAreNotTaken(t *testing.T) {
	h := serve(t)
	h.pushBlob("a", "{}")
	h.pushBlob("a", "layer")
	h.pushBlob("other", "elsewhere")
	good := manifestOf(t, "{}", []string{"layer"}, nil)
	edited := func(edit func(*document)) string { return manifestOf(t, "{}", []string{"layer"}, edit) }
	for name, c := range map[string]struct {
		body, contentType string
		status            int
		code, says        string
	}{
		"empty":               {"", typeManifest, 400, codeManifestInvalid, "not JSON"},
		"not JSON":            {"hello", typeManifest, 400, codeManifestInvalid, "not JSON"},
		"cut short":           {good[:len(good)/2], typeManifest, 400, codeManifestInvalid, "not JSON"},
		"two values":          {good + good, typeManifest, 400, codeManifestInvalid, "not JSON"},
		"an array":            {"[]", typeManifest, 400, codeManifestInvalid, "right shape"},
		"another type":        {good, typeIndex, 400, codeManifestInvalid, "Content-Type says"},
		"unreadable type":     {good, "a/b/c;;", 400, codeManifestInvalid, "cannot be read"},
		"unknown type":        {edited(func(d *document) { d.MediaType = "text/html" }), "", 400, codeManifestInvalid, "not taken"},
		"no type":             {edited(func(d *document) { d.MediaType = "" }), "", 400, codeManifestInvalid, "says what it is"},
		"schema 1":            {edited(func(d *document) { d.SchemaVersion = 1 }), "", 400, codeManifestInvalid, "schemaVersion is 1"},
		"no config":           {edited(func(d *document) { d.Config = nil }), "", 400, codeManifestInvalid, "no config"},
		"two readings":        {edited(func(d *document) { d.Manifests = []descriptor{} }), "", 400, codeManifestInvalid, "only an index"},
		"index with layers":   {edited(func(d *document) { d.MediaType, d.Config = typeIndex, nil }), "", 400, codeManifestInvalid, "has config or layers"},
		"bad digest":          {edited(func(d *document) { d.Layers[0].Digest = "sha256:../../etc/passwd" }), "", 400, codeManifestInvalid, "not a digest"},
		"wrong size":          {edited(func(d *document) { d.Layers[0].Size++ }), "", 400, codeManifestInvalid, "has 5 bytes, not 6"},
		"negative size":       {edited(func(d *document) { d.Config.Size = -1 }), "", 400, codeManifestInvalid, "is -1"},
		"bad subject":         {edited(func(d *document) { d.Subject = &descriptor{Digest: "x"} }), "", 400, codeManifestInvalid, "not a digest"},
		"missing layer":       {edited(func(d *document) { d.Layers[0] = describeContent("x", "missing") }), "", 404, codeManifestBlobUnknown, "push it first"},
		"layer of another":    {edited(func(d *document) { d.Layers[0] = describeContent("x", "elsewhere") }), "", 404, codeManifestBlobUnknown, "not in the repository"},
		"too many layers":     {edited(func(d *document) { d.Layers = make([]descriptor, maxNeeds) }), "", 400, codeManifestInvalid, "names 4097"},
		"too large":           {edited(func(d *document) { d.Annotations = map[string]string{"a": strings.Repeat("x", maxManifest)} }), "", 413, codeSizeInvalid, "larger than 4 MiB"},
		"digest of something": {good, typeManifest, 400, codeDigestInvalid, "not sha256:"},
	} {
		t.Run(name, func(t *testing.T) {
			ref := "1"
			if name == "digest of something" {
				ref = digestOf("something")
			}
			says := h.refused(c.status, c.code, call{method: "PUT", path: "/v2/a/manifests/" + ref, body: c.body, header: map[string]string{"Content-Type": c.contentType}})
			if !strings.Contains(says, c.says) {
				t.Errorf("message %q, want %q in it", says, c.says)
			}
		})
	}
	if _, err := h.Resolve("a", "1"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("Resolve after refused manifests = %v, want not found", err)
	}
	h.putManifest("a", "1", good)
}

func TestContentThatIsNotWhatItsDigestSays(t *testing.T) {
	h := serve(t)
	other := digestOf("other")
	h.refused(400, codeDigestInvalid, call{method: "POST", path: "/v2/a/blobs/uploads/?digest=" + other, body: "content"})
	at := h.must(http.StatusAccepted, call{method: "POST", path: "/v2/a/blobs/uploads/"}).header.Get("Location")
	h.refused(400, codeDigestInvalid, call{method: "PUT", path: at, body: "content"})
	h.refused(400, codeDigestInvalid, call{method: "PUT", path: at + "?digest=" + other, body: "content"})
	h.refused(404, codeUploadUnknown, call{method: "GET", path: at})
	h.must(http.StatusNotFound, call{method: "GET", path: "/v2/a/blobs/" + other})
	if left := h.uploadFiles(); len(left) != 0 {
		t.Errorf("refused uploads left %q", left)
	}
}

func (h *harness) uploadFiles() (names []string) {
	h.Helper()
	list, err := os.ReadDir(filepath.Join(h.dir, "registry", "uploads"))
	if err != nil {
		h.Fatal(err)
	}
	for _, de := range list {
		names = append(names, de.Name())
	}
	return names
}

// A client that goes away in the middle of a chunk goes on where its bytes ended.
func TestUploadThatIsCutOffGoesOn(t *testing.T) {
	h := serve(t)
	at := h.must(http.StatusAccepted, call{method: "POST", path: "/v2/a/blobs/uploads/"}).header.Get("Location")
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "PATCH %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 10\r\n\r\n01234", at, token)
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn) // until the server has given the request up
	conn.Close()
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 400 ") {
		t.Errorf("answer to half a body = %.200q, %v", answer, err)
	}
	if got := h.must(http.StatusNoContent, call{method: "GET", path: at}).header.Get("Range"); got != "0-4" {
		t.Fatalf("Range = %s, want 0-4", got)
	}
	h.must(http.StatusCreated, call{method: "PUT", path: at + "?digest=" + digestOf("0123456789"), body: "56789", header: map[string]string{"Content-Range": "5-9"}})
}

func TestOneRequestWritesToAnUpload(t *testing.T) {
	h := serve(t)
	at := h.must(http.StatusAccepted, call{method: "POST", path: "/v2/a/blobs/uploads/"}).header.Get("Location")
	id := filepath.Base(at)
	release, err := h.uploads.claim(id)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []call{{method: "PATCH", path: at, body: "x"}, {method: "PUT", path: at + "?digest=" + digestOf("x"), body: "x"}, {method: "DELETE", path: at}} {
		h.refused(409, codeUploadInvalid, c)
	}
	release()
	h.must(http.StatusAccepted, call{method: "PATCH", path: at, body: "x"})
}

func TestUploadsAreBoundedAndEnd(t *testing.T) {
	h := serve(t)
	var last string
	for range maxUploads {
		last = h.must(http.StatusAccepted, call{method: "POST", path: "/v2/a/blobs/uploads/"}).header.Get("Location")
	}
	h.refused(429, codeTooMany, call{method: "POST", path: "/v2/a/blobs/uploads/"})
	long := time.Now().Add(-2 * idle)
	for _, name := range h.uploadFiles() {
		if err := os.Chtimes(filepath.Join(h.dir, "registry", "uploads", name), long, long); err != nil {
			t.Fatal(err)
		}
	}
	h.must(http.StatusAccepted, call{method: "PATCH", path: last, body: "goes on"})
	if removed, err := h.uploads.expire(time.Now().Add(-idle)); err != nil || removed != maxUploads-1 {
		t.Errorf("expire = %d, %v, want all but the one that went on", removed, err)
	}
	h.must(http.StatusCreated, call{method: "PUT", path: last + "?digest=" + digestOf("goes on")})
}

func TestManyPushAtOnce(t *testing.T) {
	h := serve(t)
	layer := strings.Repeat("the same layer", 10_000)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() { h.pushImage("shared", fmt.Sprintf("v%d", i), fmt.Sprintf(`{"n":%d}`, i%2), layer) })
		wg.Go(func() { h.pushImage(fmt.Sprintf("own/%d", i), "1", "{}", layer) })
	}
	wg.Wait()
	if tags, _ := h.pages("/v2/shared/tags/list", "tags"); len(tags) != 8 {
		t.Errorf("tags = %q, want 8", tags)
	}
	for i := range 8 {
		if got := h.must(http.StatusOK, call{method: "GET", path: fmt.Sprintf("/v2/own/%d/blobs/%s", i, digestOf(layer))}); got.body != layer {
			t.Errorf("layer of own/%d = %d bytes", i, len(got.body))
		}
	}
	if left := h.uploadFiles(); len(left) != 0 {
		t.Errorf("pushes left %q", left)
	}
}

func FuzzPath(f *testing.F) {
	for _, path := range []string{"/v2/", "/v2/_catalog", "/v2/a/b/tags/list", "/v2/a/manifests/1", "/v2/a/blobs/uploads/", "/v2/blobs/uploads/blobs/uploads/0123",
		"/v2/a/blobs/" + digestOf(""), "/v2/a/referrers/" + digestOf(""), "/v2/../../x/tags/list", "/v2/a//b/tags/list", "/v2/manifests/manifests/manifests"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		at, err := parsePath(path)
		if err != nil {
			if fault.KindOf(err) == fault.Internal {
				t.Fatalf("parsePath(%q) = %v, an internal error", path, err)
			}
			return
		}
		if at.name == "" {
			return
		}
		for _, part := range strings.Split(at.name, "/") {
			if part == "" || part == "." || part == ".." || part[0] == '.' {
				t.Fatalf("parsePath(%q) names %q", path, at.name)
			}
		}
		if name := fileName(at.name); name != filepath.Base(name) || len(name) > 255 {
			t.Fatalf("parsePath(%q): the file %q leaves its directory", path, name)
		}
		if at.what == isUpload && at.ref != filepath.Base(at.ref) {
			t.Fatalf("parsePath(%q): the upload %q leaves its directory", path, at.ref)
		}
	})
}

func FuzzManifest(f *testing.F) {
	good := manifestOf(f, "{}", []string{"layer"}, func(d *document) { d.Subject = d.Config })
	f.Add(typeManifest, []byte(good))
	f.Add("", []byte(good))
	f.Add(typeIndex, []byte(`{"schemaVersion":2,"manifests":[{"digest":"`+digestOf("")+`","size":0}]}`))
	f.Add("application/json; charset=\"", []byte(`{"schemaVersion":2,"config":{},"manifests":[],"mediaType":"x"}`))
	f.Fuzz(func(t *testing.T, contentType string, content []byte) {
		d, needs, err := parseManifest(contentType, content)
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Fatalf("parseManifest = %v (%v), want invalid", err, fault.KindOf(err))
			}
			return
		}
		if d.MediaType == "" || d.isIndex() == (d.Config != nil) {
			t.Fatalf("parseManifest took %+v", d)
		}
		for _, need := range needs {
			if checkDigest(need.Digest) != nil || need.Size < 0 {
				t.Fatalf("parseManifest took the descriptor %+v", need)
			}
		}
	})
}

// What may be pushed, and who may remove: a push to a repository that functions follow deploys them.
func TestRightsOfWhoPushes(t *testing.T) {
	h := serve(t)
	as := func(token string) map[string]string { return map[string]string{"Authorization": "Bearer " + token} }
	for _, c := range []struct {
		token, method, path string
		status              int
		says                string
	}{
		{"viewer", "GET", "/v2/", 200, ""},
		{"viewer", "POST", "/v2/free/blobs/uploads/", 403, "which may not deploy"},
		{"viewer", "PUT", "/v2/free/manifests/1", 403, "which may not deploy"},
		{"shop-deployer", "POST", "/v2/free/blobs/uploads/", 202, ""},
		{"shop-deployer", "POST", "/v2/followed/blobs/uploads/", 403, `and not \"pay\"`},
		{"shop-deployer", "PUT", "/v2/followed/manifests/1", 403, `and not \"pay\"`},
		{"shop-deployer", "DELETE", "/v2/free/manifests/1", 403, "which may not administer"},
		{"nobody", "GET", "/v2/", 401, "missing or wrong"},
	} {
		r := h.do(call{method: c.method, path: c.path, header: as(c.token), noToken: true})
		if r.status != c.status || !strings.Contains(r.body, c.says) {
			t.Errorf("%s %s as %s = %d %s, want %d with %q", c.method, c.path, c.token, r.status, r.body, c.status, c.says)
		}
	}
}
