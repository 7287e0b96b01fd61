package registry

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"math/rand"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/stream"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// crane is the client library of go-containerregistry, which crane, ko and many others are made of.
type crane struct {
	*harness
	host string

	mu   sync.Mutex
	seen []string // requests, "METHOD /path?query"
}

func newCrane(t *testing.T) *crane {
	h := serve(t)
	return &crane{harness: h, host: strings.TrimPrefix(h.url, "http://")}
}

// RoundTrip remembers the request.
func (c *crane) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	c.seen = append(c.seen, r.Method+" "+r.URL.RequestURI())
	c.mu.Unlock()
	return http.DefaultTransport.RoundTrip(r)
}

func (c *crane) options() []remote.Option {
	return []remote.Option{remote.WithAuth(&authn.Basic{Username: "me", Password: token}), remote.WithTransport(c), remote.WithContext(c.Context())}
}

func (c *crane) ref(ref string) name.Reference {
	c.Helper()
	r, err := name.ParseReference(c.host + "/" + ref)
	if err != nil {
		c.Fatal(err)
	}
	return r
}

func (c *crane) digest(repo string, h v1.Hash) name.Digest {
	return c.ref(repo).Context().Digest(h.String())
}

func (c *crane) image(layers int) v1.Image {
	c.Helper()
	img, err := random.Image(100_000, int64(layers), random.WithSource(rand.NewSource(int64(layers))))
	if err != nil {
		c.Fatal(err)
	}
	return img
}

func digestFrom(t testing.TB, d interface{ Digest() (v1.Hash, error) }) v1.Hash {
	t.Helper()
	h, err := d.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func (c *crane) ok(what string, err error) {
	c.Helper()
	if err != nil {
		c.Fatalf("%s: %v", what, err)
	}
}

// pulled validates all that a reference names, as it comes: digests, sizes, diff ids.
func (c *crane) pulled(ref name.Reference) v1.Hash {
	c.Helper()
	img, err := remote.Image(ref, c.options()...)
	c.ok("pull", err)
	c.ok("validate what was pulled", validate.Image(img))
	return digestFrom(c, img)
}

func TestCranePushesPullsAndDeletes(t *testing.T) {
	c := newCrane(t)
	img := c.image(3)
	c.ok("push", remote.Write(c.ref("fn/hello:1"), img, c.options()...))
	want := digestFrom(t, img)
	if got := c.pulled(c.ref("fn/hello:1")); got != want {
		t.Errorf("pulled %s, want %s", got, want)
	}
	d, err := remote.Head(c.ref("fn/hello:1"), c.options()...)
	if err != nil || d.Digest != want || d.MediaType != types.DockerManifestSchema2 {
		t.Errorf("Head = %+v, %v", d, err)
	}
	// What is there is not sent again, and a tag is one request more.
	c.seen = nil
	c.ok("push again", remote.Write(c.ref("fn/hello:1"), img, c.options()...))
	if i := slices.IndexFunc(c.seen, func(s string) bool { return strings.HasPrefix(s, "P") }); i >= 0 {
		t.Errorf("the second push sent %q", c.seen[i])
	}
	c.ok("tag", remote.Tag(c.ref("fn/hello").Context().Tag("live"), img, c.options()...))
	tags, err := remote.List(c.ref("fn/hello").Context(), c.options()...)
	if err != nil || !slices.Equal(tags, []string{"1", "live"}) {
		t.Errorf("List = %q, %v", tags, err)
	}
	registry, err := name.NewRegistry(c.host)
	c.ok("name", err)
	if all, err := remote.Catalog(t.Context(), registry, c.options()...); err != nil || !slices.Equal(all, []string{"fn/hello"}) {
		t.Errorf("Catalog = %q, %v", all, err)
	}
	c.ok("delete a tag", remote.Delete(c.ref("fn/hello:live"), c.options()...))
	c.ok("delete", remote.Delete(c.digest("fn/hello", want), c.options()...))
	var gone *transport.Error
	if _, err := remote.Head(c.ref("fn/hello:1"), c.options()...); !errors.As(err, &gone) || gone.StatusCode != http.StatusNotFound {
		t.Errorf("Head of what was deleted = %v", err)
	}
	if _, err := remote.Get(c.ref("fn/hello:1"), c.options()...); !errors.As(err, &gone) || len(gone.Errors) != 1 || gone.Errors[0].Code != transport.ManifestUnknownErrorCode {
		t.Errorf("Get of what was deleted = %v, want the specification's code", err)
	}
}

func TestCraneMountsFromAnotherRepository(t *testing.T) {
	c := newCrane(t)
	c.ok("push", remote.Write(c.ref("from/here:1"), c.image(2), c.options()...))
	img, err := remote.Image(c.ref("from/here:1"), c.options()...)
	c.ok("pull", err)
	c.seen = nil
	c.ok("copy", remote.Write(c.ref("to/there:1"), img, c.options()...))
	mounts := 0
	for _, s := range c.seen {
		if strings.HasPrefix(s, "POST") && strings.Contains(s, "mount=") && strings.Contains(s, "from=from%2Fhere") {
			mounts++
		}
		if strings.HasPrefix(s, "PATCH") || strings.HasPrefix(s, "PUT") && strings.Contains(s, "/blobs/") && strings.Contains(s, digestFrom(t, lastLayer(t, img)).Hex) {
			t.Errorf("a layer was sent: %s", s)
		}
	}
	if mounts != 3 {
		t.Errorf("%d blobs were mounted, want the config and 2 layers: %q", mounts, c.seen)
	}
	if got := c.pulled(c.ref("to/there:1")); got != digestFrom(t, img) {
		t.Errorf("the copy is %s", got)
	}
}

func lastLayer(t *testing.T, img v1.Image) v1.Layer {
	t.Helper()
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	return layers[len(layers)-1]
}

func TestCranePushesAnIndex(t *testing.T) {
	c := newCrane(t)
	index, err := random.Index(1000, 2, 3)
	c.ok("make", err)
	c.ok("push", remote.WriteIndex(c.ref("multi:1"), index, c.options()...))
	got, err := remote.Index(c.ref("multi:1"), c.options()...)
	c.ok("pull", err)
	c.ok("validate", validate.Index(got))
	if digestFrom(t, got) != digestFrom(t, index) {
		t.Error("another index came back")
	}
}

// The digest of a streamed layer is known when all of it was sent.
func TestCraneStreamsALayer(t *testing.T) {
	c := newCrane(t)
	var archive bytes.Buffer
	tw := tar.NewWriter(&archive)
	c.ok("begin an archive", tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "f", Size: 5 << 20}))
	_, err := io.CopyN(tw, rand.New(rand.NewSource(1)), 5<<20)
	c.ok("fill it", err)
	c.ok("end it", tw.Close())
	layer := stream.NewLayer(io.NopCloser(&archive))
	img, err := mutate.AppendLayers(c.image(1), layer)
	c.ok("make", err)
	c.ok("push", remote.Write(c.ref("streamed:1"), img, c.options()...))
	if got := c.pulled(c.ref("streamed:1")); got != digestFrom(t, img) {
		t.Errorf("pulled %s", got)
	}
}

func TestCraneListsReferrers(t *testing.T) {
	c := newCrane(t)
	subject := c.image(1)
	c.ok("push", remote.Write(c.ref("a:1"), subject, c.options()...))
	d, err := partial.Descriptor(subject)
	c.ok("describe", err)
	signature := mutate.Subject(mutate.ConfigMediaType(mutate.MediaType(c.image(2), types.OCIManifestSchema1), "test/signature"), *d).(v1.Image)
	c.ok("push what refers to it", remote.Write(c.digest("a", digestFrom(t, signature)), signature, c.options()...))
	for _, filter := range []string{"", "test/signature", "test/other"} {
		o := c.options()
		if filter != "" {
			o = append(o, remote.WithFilter("artifactType", filter))
		}
		index, err := remote.Referrers(c.digest("a", d.Digest), o...)
		c.ok("list referrers", err)
		m, err := index.IndexManifest()
		c.ok("read referrers", err)
		switch {
		case filter == "test/other" && len(m.Manifests) == 0:
		case filter != "test/other" && len(m.Manifests) == 1 && m.Manifests[0].Digest == digestFrom(t, signature) && m.Manifests[0].ArtifactType == "test/signature":
		default:
			t.Errorf("referrers by %q = %+v", filter, m.Manifests)
		}
	}
	tags, err := remote.List(c.ref("a").Context(), c.options()...)
	if err != nil || !slices.Equal(tags, []string{"1"}) {
		t.Errorf("tags = %q, %v: the client used its way for registries without referrers", tags, err)
	}
}

func TestCraneWithoutTheToken(t *testing.T) {
	c := newCrane(t)
	o := []remote.Option{remote.WithAuth(&authn.Basic{Username: "me", Password: "wrong"}), remote.WithTransport(c)}
	var denied *transport.Error
	if _, err := remote.Get(c.ref("a:1"), o...); !errors.As(err, &denied) || denied.StatusCode != http.StatusUnauthorized || !strings.Contains(err.Error(), "the token is missing or wrong") {
		t.Errorf("pull without the token = %v", err)
	}
}

func TestPushesOfTagsAreTold(t *testing.T) {
	c := newCrane(t)
	var told []Push
	var down error
	c.pushed = func(p Push) error {
		told = append(told, p)
		return down
	}
	img := c.image(1)
	want := digestFrom(t, img).String()
	c.ok("push a tag", remote.Write(c.ref("fn/hello:1"), img, c.options()...))
	c.ok("push a digest", remote.Write(c.digest("fn/other", digestFrom(t, img)), img, c.options()...))
	if len(told) != 1 || told[0].Repository != "fn/hello" || told[0].Tag != "1" || told[0].Digest != want || told[0].MediaType != typeDocker || told[0].Pusher != "me" {
		t.Errorf("told %+v, want the push of the tag", told)
	}
	down = errors.New("the disk is away")
	h := c.refused(500, codeUnknown, call{method: "PUT", path: "/v2/fn/other/manifests/2", body: string(rawManifest(t, img))})
	if !strings.Contains(h, "tell of the push of fn/other:2") {
		t.Errorf("the client is told %q", h)
	}
}

func rawManifest(t *testing.T, img v1.Image) []byte {
	t.Helper()
	raw, err := img.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
