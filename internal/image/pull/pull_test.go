package pull

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/image"
)

// remoteRegistry is a registry that asks for credentials when user is given. before may answer instead of it.
type remoteRegistry struct {
	host   string
	gets   atomic.Int64 // of blobs
	user   string
	before func(w http.ResponseWriter, r *http.Request) bool
}

func serve(t *testing.T, r *remoteRegistry) *remoteRegistry {
	t.Helper()
	h := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if user, password, _ := req.BasicAuth(); r.user != "" && (user != r.user || password != "secret") {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if req.Method == http.MethodGet && strings.Contains(req.URL.Path, "/blobs/") {
			r.gets.Add(1)
		}
		if r.before != nil && r.before(w, req) {
			return
		}
		h.ServeHTTP(w, req)
	}))
	t.Cleanup(s.Close)
	r.host = strings.TrimPrefix(s.URL, "http://")
	return r
}

// push stores an image or an index.
func (r *remoteRegistry) push(t *testing.T, ref string, what remote.Taggable) {
	t.Helper()
	n, err := name.ParseReference(r.host + "/" + ref)
	if err != nil {
		t.Fatal(err)
	}
	o := []remote.Option{remote.WithAuth(&authn.Basic{Username: r.user, Password: "secret"})}
	switch what := what.(type) {
	case v1.Image:
		err = remote.Write(n, what, o...)
	case v1.ImageIndex:
		err = remote.WriteIndex(n, what, o...)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func program(t *testing.T, layers int64, arch string) v1.Image {
	t.Helper()
	img, err := random.Image(1000, layers)
	if err != nil {
		t.Fatal(err)
	}
	c, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c.OS, c.Architecture, c.Config.Entrypoint = "linux", arch, []string{"/run", arch}
	if img, err = mutate.ConfigFile(img, c); err != nil {
		t.Fatal(err)
	}
	return img
}

func newPuller(t *testing.T, o Options) (*Puller, *image.Blobs) {
	t.Helper()
	blobs, err := image.OpenBlobs(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	o.Blobs, o.Arch = blobs, "amd64"
	if o.Keychain == nil {
		o.Keychain = authn.NewMultiKeychain()
	}
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return p, blobs
}

func digestOf(t *testing.T, d interface{ Digest() (v1.Hash, error) }) string {
	t.Helper()
	h, err := d.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return h.String()
}

func TestResolveAndFetch(t *testing.T) {
	r := serve(t, &remoteRegistry{})
	img := program(t, 3, "amd64")
	r.push(t, "shop/pay:1", img)
	p, blobs := newPuller(t, Options{})
	for _, ref := range []string{r.host + "/shop/pay:1", r.host + "/shop/pay@" + digestOf(t, img)} {
		got, err := p.Resolve(t.Context(), ref)
		if err != nil {
			t.Fatalf("Resolve(%s) = %v", ref, err)
		}
		if got.Digest != digestOf(t, img) || len(got.Layers) != 3 || got.Config.Entrypoint[0] != "/run" || got.Reference != ref {
			t.Errorf("Resolve(%s) = %+v, want the image pushed", ref, got)
		}
		for _, l := range got.Layers {
			came := int64(0)
			if err := p.Fetch(t.Context(), Content{Reference: ref, Digest: l.Digest, Bytes: l.Bytes, Came: func(n int) { came += int64(n) }}); err != nil {
				t.Fatalf("Fetch = %v", err)
			}
			if came != 0 && came != l.Bytes { // the second time it is here
				t.Errorf("Fetch told of %d bytes, want %d", came, l.Bytes)
			}
			if size, ok := blobs.Has(l.Digest); !ok || size != l.Bytes {
				t.Errorf("layer %s is here: %v, with %d bytes; want %d", l.Digest, ok, size, l.Bytes)
			}
		}
	}
	if n := r.gets.Load(); n != 4 {
		t.Errorf("the registry was asked for %d blobs, want each of 4 once", n)
	}
}

func TestResolveChoosesThePlatform(t *testing.T) {
	r := serve(t, &remoteRegistry{})
	mine := program(t, 1, "amd64")
	index := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: program(t, 1, "arm64"), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}}},
		mutate.IndexAddendum{Add: program(t, 1, "none"), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "unknown", Architecture: "unknown"}}},
		mutate.IndexAddendum{Add: mine, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}},
	)
	r.push(t, "multi:1", index)
	p, _ := newPuller(t, Options{})
	if got, err := p.Resolve(t.Context(), r.host+"/multi:1"); err != nil || got.Digest != digestOf(t, mine) {
		t.Errorf("Resolve = %+v, %v, want the one for amd64, %s", got, err, digestOf(t, mine))
	}
	p.o.Arch = "s390x"
	_, err := p.Resolve(t.Context(), r.host+"/multi:1")
	if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "is for linux/arm64, linux/amd64, and not for this machine, linux/s390x") {
		t.Errorf("Resolve on s390x = %v, want the platforms there are", err)
	}
}

func TestResolveSaysWhatIsWrong(t *testing.T) {
	r := serve(t, &remoteRegistry{})
	r.push(t, "arm:1", program(t, 1, "arm64"))
	r.push(t, "empty:1", empty.Image)
	artifact := mutate.ConfigMediaType(program(t, 1, "amd64"), "application/vnd.example.thing")
	r.push(t, "artifact:1", artifact)
	r.push(t, "many:1", program(t, 128, "amd64"))
	private := serve(t, &remoteRegistry{user: "me"})
	private.push(t, "secret:1", program(t, 1, "amd64"))
	broken := serve(t, &remoteRegistry{before: func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/v2/" {
			http.Error(w, "no", http.StatusInternalServerError)
			return true
		}
		return false
	}})
	p, _ := newPuller(t, Options{})
	for _, c := range []struct {
		ref, want string
		kind      fault.Kind
	}{
		{r.host + "/none:1", "there is no image " + r.host + "/none:1 in registry " + r.host, fault.NotFound},
		{r.host + "/arm:1", "is for linux/arm64, and not for this machine", fault.Invalid},
		{r.host + "/empty:1", "has no layers", fault.Invalid},
		{r.host + "/artifact:1", `of the type "application/vnd.example.thing"`, fault.Invalid},
		{r.host + "/many:1", "has 128 layers; a function can have 127", fault.Invalid},
		{r.host + "/UPPER:1", "is not a reference to an image", fault.Invalid},
		{"./file.tar", "is not a reference to an image", fault.Invalid},
		{"127.0.0.1:1/x:1", "registry 127.0.0.1:1 cannot be reached", fault.Unavailable},
		{private.host + "/secret:1", "does not give image " + private.host + "/secret:1 to who asks", fault.Denied},
		{broken.host + "/x:1", "answered 500", fault.Unavailable},
	} {
		_, err := p.Resolve(t.Context(), c.ref)
		if err == nil || fault.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.want) || fault.HintOf(err) == "" {
			t.Errorf("Resolve(%s) = %v (%v, hint %q), want %v with %q and a hint", c.ref, err, fault.KindOf(err), fault.HintOf(err), c.kind, c.want)
		}
	}
}

func TestRegistriesHaveTheirSettings(t *testing.T) {
	private := serve(t, &remoteRegistry{user: "me"})
	img := program(t, 1, "amd64")
	private.push(t, "pay:1", img)
	password := func() (string, error) { return "secret", nil }
	p, _ := newPuller(t, Options{Registries: []Registry{{Host: private.host, User: "me", Password: password}}})
	if _, err := p.Resolve(t.Context(), private.host+"/pay:1"); err != nil {
		t.Errorf("Resolve with credentials = %v", err)
	}
	p, _ = newPuller(t, Options{Registries: []Registry{{Host: private.host, User: "me", Password: func() (string, error) { return "", os.ErrNotExist }}}})
	if _, err := p.Resolve(t.Context(), private.host+"/pay:1"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Resolve without its password = %v, want why", err)
	}
	// The mirror has the settings of its own, and the origin is asked for what it has not.
	origin := serve(t, &remoteRegistry{})
	other := program(t, 1, "amd64")
	origin.push(t, "other:1", other)
	p, _ = newPuller(t, Options{Registries: []Registry{{Host: origin.host, Mirror: private.host}, {Host: private.host, User: "me", Password: password}}})
	for ref, want := range map[string]string{"pay:1": digestOf(t, img), "other:1": digestOf(t, other)} {
		if got, err := p.Resolve(t.Context(), origin.host+"/"+ref); err != nil || got.Digest != want {
			t.Errorf("Resolve(%s) = %+v, %v, want %s", ref, got, err, want)
		}
	}
}

func TestDockersConfigurationIsRead(t *testing.T) {
	private := serve(t, &remoteRegistry{user: "me"})
	private.push(t, "pay:1", program(t, 1, "amd64"))
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	config := fmt.Sprintf(`{"auths":{%q:{"auth":"bWU6c2VjcmV0"}}}`, private.host) // me:secret
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	p, _ := newPuller(t, Options{Keychain: authn.DefaultKeychain})
	if _, err := p.Resolve(t.Context(), private.host+"/pay:1"); err != nil {
		t.Errorf("Resolve = %v, want the credentials of config.json used", err)
	}
}

func TestFetchVerifiesWhatComes(t *testing.T) {
	for what, spoil := range map[string]func([]byte) []byte{
		"changed":    func(b []byte) []byte { return append([]byte("x"), b[1:]...) },
		"truncated":  func(b []byte) []byte { return b[:len(b)/2] },
		"longer":     func(b []byte) []byte { return append(b, "more"...) },
		"far longer": func(b []byte) []byte { return append(b, make([]byte, 64<<20)...) },
	} {
		t.Run(what, func(t *testing.T) {
			r := &remoteRegistry{}
			img := program(t, 1, "amd64")
			layers, err := img.Layers()
			if err != nil {
				t.Fatal(err)
			}
			bad := digestOf(t, layers[0])
			r.before = func(w http.ResponseWriter, req *http.Request) bool {
				if req.Method != http.MethodGet || !strings.HasSuffix(req.URL.Path, bad) {
					return false
				}
				content, err := layers[0].Compressed()
				if err != nil {
					return false
				}
				b, err := io.ReadAll(content)
				if err != nil {
					return false
				}
				_, err = w.Write(spoil(b))
				return err == nil
			}
			serve(t, r).push(t, "pay:1", img)
			p, blobs := newPuller(t, Options{})
			if _, err := p.Resolve(t.Context(), r.host+"/pay:1"); err != nil {
				t.Fatal(err)
			}
			size, err := layers[0].Size()
			if err != nil {
				t.Fatal(err)
			}
			err = p.Fetch(t.Context(), Content{Reference: r.host + "/pay:1", Digest: bad, Bytes: size})
			if err == nil || fault.KindOf(err) == fault.Internal || fault.HintOf(err) == "" {
				t.Errorf("Fetch = %v, want a fault with a hint", err)
			}
			if _, ok := blobs.Has(bad); ok {
				t.Error("what was spoilt is kept")
			}
		})
	}
}

func TestPullEndsWithItsContext(t *testing.T) {
	hold := make(chan struct{})
	r := serve(t, &remoteRegistry{before: func(w http.ResponseWriter, req *http.Request) bool {
		select {
		case <-hold:
		case <-req.Context().Done():
		}
		return true
	}})
	defer close(hold)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p, _ := newPuller(t, Options{})
	if _, err := p.Resolve(ctx, r.host+"/x:1"); !errors.Is(err, context.Canceled) {
		t.Errorf("Resolve = %v, want canceled", err)
	}
}

func TestFilesArePushed(t *testing.T) {
	img := program(t, 2, "amd64")
	dir := t.TempDir()
	lay := filepath.Join(dir, "lay")
	p, err := layout.Write(lay, empty.Index)
	if err == nil {
		err = p.AppendImage(img)
	}
	if err != nil {
		t.Fatal(err)
	}
	saved := filepath.Join(dir, "saved.tar")
	tag, err := name.NewTag("pay:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := tarball.WriteToFile(saved, tag, img); err != nil {
		t.Fatal(err)
	}
	archived := filepath.Join(dir, "layout.tar")
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	if err := tw.AddFS(os.DirFS(lay)); err != nil {
		t.Fatal(err)
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(archived, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	node := serve(t, &remoteRegistry{user: "dalamb"})
	for _, path := range []string{lay, saved, archived} {
		f, err := OpenFile(path)
		if err != nil {
			t.Errorf("OpenFile(%s) = %v", filepath.Base(path), err)
			continue
		}
		done, all := int64(0), int64(0)
		f.Sent = func(d, a int64) { done, all = d, a }
		ref, err := f.Push(t.Context(), "http://"+node.host, "secret", "deploy/pay")
		f.Close()
		if done != all || path == lay && done == 0 { // the others are there by then
			t.Errorf("Push(%s) told of %d bytes of %d, want all", filepath.Base(path), done, all)
		}
		if err != nil || !strings.HasPrefix(ref, "dalamb.internal/deploy/pay@sha256:") {
			t.Errorf("Push(%s) = %q, %v", filepath.Base(path), ref, err)
			continue
		}
		if _, err := name.NewDigest(strings.Replace(ref, OwnHost, node.host, 1)); err != nil {
			t.Errorf("Push gives %q, which is no reference: %v", ref, err)
		}
	}
}

func TestOpenFileRefusesWhatIsNoImage(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file("text", "no image")
	file("empty.tar", "")
	file("some.tar.gz", "\x1f\x8b\x08\x00")
	file("some.tar.zst", "\x28\xb5\x2f\xfd\x04")
	if _, err := layout.Write(filepath.Join(dir, "none"), empty.Index); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"text": "is not an image: unexpected EOF", ".": "is not an image: it has no index.json", "none": "is not an image: its index is empty",
		"missing": "there is no image ", "empty.tar": "is not an image: it is empty", "some.tar.gz": "it is compressed (gzip); unpack it first",
		"some.tar.zst": "it is compressed (zstd); unpack it first",
	} {
		path := filepath.Join(dir, name)
		if _, err := OpenFile(path); fault.KindOf(err) != fault.Invalid || err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), want) || fault.HintOf(err) == "" {
			t.Errorf("OpenFile(%s) = %v (%s), want an invalid fault that names it and says %q, with a hint", path, err, fault.HintOf(err), want)
		}
	}
}

// A layout whose parts are not what its manifests say is the file's fault, not that of the way to the node.
func TestALayoutThatIsNotWholeIsNotPushed(t *testing.T) {
	node := serve(t, &remoteRegistry{user: "dalamb"})
	one := program(t, 2, "amd64")
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: program(t, 1, "arm64")}, mutate.IndexAddendum{Add: one})
	for what, tt := range map[string]struct {
		index v1.ImageIndex
		spoil func([]byte) []byte
		says  string
	}{
		"truncated":             {mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: one}), func(b []byte) []byte { return b[:len(b)/2] }, "layer 1 of 2 has "},
		"truncated, of several": {index, func(b []byte) []byte { return b[:len(b)/2] }, "layer 1 of 2 has "},
		"changed":               {mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: one}), func(b []byte) []byte { return append(b[:len(b)-1:len(b)-1], b[len(b)-1]^1) }, ""},
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			if _, err := layout.Write(dir, tt.index); err != nil {
				t.Fatal(err)
			}
			layers, err := one.Layers()
			if err != nil {
				t.Fatal(err)
			}
			blob := filepath.Join(dir, "blobs", "sha256", strings.TrimPrefix(digestOf(t, layers[0]), "sha256:"))
			content, err := os.ReadFile(blob)
			if err == nil {
				err = os.WriteFile(blob, tt.spoil(content), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			f, err := OpenFile(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			_, err = f.Push(t.Context(), "http://"+node.host, "secret", "deploy/pay")
			if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), dir+" is not a whole image: ") || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("Push = %v, want that the layout is not whole, and %q", err, tt.says)
			}
		})
	}
}

// A name says nothing of how its registry is spoken to: the setting does.
func TestAnInsecureRegistryIsOneThatIsNamedSo(t *testing.T) {
	r := serve(t, &remoteRegistry{})
	img := program(t, 1, "amd64")
	r.push(t, "pay:1", img)
	elsewhere := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, r.host)
	}}
	const ref = "registry.example.com:5000/pay:1"
	p, _ := newPuller(t, Options{Transport: elsewhere, Registries: []Registry{{Host: "registry.example.com:5000", Insecure: true}}})
	if got, err := p.Resolve(t.Context(), ref); err != nil || got.Digest != digestOf(t, img) {
		t.Errorf("Resolve of an insecure registry = %+v, %v", got, err)
	}
	p, _ = newPuller(t, Options{Transport: elsewhere})
	if _, err := p.Resolve(t.Context(), ref); err == nil || !strings.Contains(err.Error(), "https://registry.example.com:5000") || !strings.Contains(fault.HintOf(err), "setting registries") {
		t.Errorf("Resolve = %v (%s), want that TLS alone is spoken, and the setting named", err, fault.HintOf(err))
	}
}
