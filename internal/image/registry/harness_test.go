package registry

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/image"
)

const token = "0123456789abcdef"

// harness is a registry that serves, and a client of it.
type harness struct {
	testing.TB
	*Registry
	dir string
	url string
}

func serve(t testing.TB) *harness { return serveFrom(t, t.TempDir()) }

// who knows the node's own token, and those of a deployer of what is named shop-*, and of somebody who may look.
func who(shown string) (access.Actor, error) {
	switch shown {
	case token:
		return access.Own(), nil
	case "shop-deployer":
		return access.Actor{Type: access.APIKey, ID: "shop-ci", Grant: access.Grant{Role: access.Deployer, Functions: []string{"shop-*"}}}, nil
	case "viewer":
		return access.Actor{Type: access.APIKey, ID: "looks", Grant: access.Grant{Role: access.Viewer}}, nil
	}
	return access.Actor{}, fault.New(fault.Unauthenticated, "the token is missing or wrong")
}

func openIn(dir string) (*Registry, error) {
	blobs, err := image.OpenBlobs(filepath.Join(dir, "content"))
	if err != nil {
		return nil, err
	}
	return Open(Options{Dir: filepath.Join(dir, "registry"), Blobs: blobs, Who: who, Followers: func(repository string) []string {
		if repository == "followed" {
			return []string{"shop-web", "pay"}
		}
		return nil
	}})
}

func serveFrom(t testing.TB, dir string) *harness {
	t.Helper()
	g, err := openIn(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(g)
	t.Cleanup(s.Close)
	return &harness{TB: t, Registry: g, dir: dir, url: s.URL}
}

// call is a request; its zero fields are left out.
type call struct {
	method, path string
	header       map[string]string
	body         string
	noToken      bool
}

type reply struct {
	status int
	header http.Header
	body   string
}

func (h *harness) do(c call) reply {
	h.Helper()
	r, err := http.NewRequestWithContext(h.Context(), c.method, h.url+c.path, strings.NewReader(c.body))
	if err != nil {
		h.Fatal(err)
	}
	if !c.noToken {
		r.SetBasicAuth("anybody", token)
	}
	for k, v := range c.header {
		r.Header.Set(k, v)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		h.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		h.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, string(b)}
}

// must makes a request whose answer has to have the status.
func (h *harness) must(status int, c call) reply {
	h.Helper()
	got := h.do(c)
	if got.status != status {
		h.Fatalf("%s %s = %d %s, want %d", c.method, c.path, got.status, got.body, status)
	}
	return got
}

// refused makes a request whose answer has to have the status and the code of an error, in the specification's form.
func (h *harness) refused(status int, code string, c call) string {
	h.Helper()
	got := h.must(status, c)
	var e struct {
		Errors []struct{ Code, Message string }
	}
	if err := json.Unmarshal([]byte(got.body), &e); err != nil || len(e.Errors) != 1 || e.Errors[0].Code != code || e.Errors[0].Message == "" {
		h.Fatalf("%s %s = %s, want the error %s", c.method, c.path, got.body, code)
	}
	return e.Errors[0].Message
}

func digestOf(content string) string {
	sum := sha256.Sum256([]byte(content))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// pushBlob pushes content in one request.
func (h *harness) pushBlob(name, content string) (digest string) {
	h.Helper()
	digest = digestOf(content)
	h.must(http.StatusCreated, call{method: "POST", path: "/v2/" + name + "/blobs/uploads/?digest=" + digest, body: content})
	return digest
}

func describeContent(mediaType, content string) descriptor {
	return descriptor{MediaType: mediaType, Digest: digestOf(content), Size: int64(len(content))}
}

// manifestOf is an image manifest of a config and layers, with what else edit sets.
func manifestOf(t testing.TB, config string, layers []string, edit func(*document)) string {
	t.Helper()
	c := describeContent("application/vnd.oci.image.config.v1+json", config)
	d := document{SchemaVersion: 2, MediaType: typeManifest, Config: &c, Layers: []descriptor{}}
	for _, l := range layers {
		d.Layers = append(d.Layers, describeContent("application/vnd.oci.image.layer.v1.tar", l))
	}
	if edit != nil {
		edit(&d)
	}
	return encode(t, d)
}

func encode(t testing.TB, d document) string {
	t.Helper()
	var b bytes.Buffer
	m := map[string]any{}
	raw, err := json.Marshal(d)
	if err == nil {
		err = json.Unmarshal(raw, &m)
	}
	for k, v := range m { // what is not there is not written
		if v == nil || v == "" {
			delete(m, k)
		}
	}
	if err == nil {
		err = json.NewEncoder(&b).Encode(m)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// pushImage pushes an image with a config and layers and returns the digest of its manifest.
func (h *harness) pushImage(name, tag, config string, layers ...string) (digest string) {
	h.Helper()
	for _, content := range append(layers, config) {
		h.pushBlob(name, content)
	}
	m := manifestOf(h, config, layers, nil)
	h.putManifest(name, tag, m)
	return digestOf(m)
}

func (h *harness) putManifest(name, ref, manifest string) reply {
	h.Helper()
	return h.must(http.StatusCreated, call{method: "PUT", path: fmt.Sprintf("/v2/%s/manifests/%s", name, ref), body: manifest})
}
