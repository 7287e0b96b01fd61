package cli_test

import (
	"archive/tar"
	"bytes"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/rogpeppe/go-internal/testscript"
)

// serveHalting is a registry with the image of a layout, REGISTRY/shop/pay:1, which fails a pull in its middle: the first time that the
// layer is asked for it sends half, makes the file half, and then nothing more comes. halting LAYOUT
func serveHalting(ts *testscript.TestScript, _ bool, args []string) {
	index, err := layout.ImageIndexFromPath(ts.MkAbs(args[0]))
	ts.Check(err)
	m, err := index.IndexManifest()
	ts.Check(err)
	img, err := index.Image(m.Manifests[0].Digest)
	ts.Check(err)
	layers, err := img.Layers()
	ts.Check(err)
	digest, err := layers[0].Digest()
	ts.Check(err)
	content, err := layers[0].Compressed()
	ts.Check(err)
	layer, err := io.ReadAll(content)
	ts.Check(err)

	whole := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	var halted atomic.Bool
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, digest.String()) || halted.Swap(true) {
			whole.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(layer)))
		w.Write(layer[:len(layer)/2])
		w.(http.Flusher).Flush()
		os.WriteFile(ts.MkAbs("half"), nil, 0o644) // where it is not written the script says what it waited for
		<-r.Context().Done()
	}))
	ts.Defer(s.Close)
	host := strings.TrimPrefix(s.URL, "http://")
	ref, err := name.ParseReference(host + "/shop/pay:1")
	ts.Check(err)
	ts.Check(remote.Write(ref, img))
	ts.Setenv("REGISTRY", host)
}

// makeLayout writes an OCI image layout whose one layer is a directory. layout DIR ROOT [arch=ARCH] [user=USER] COMMAND...
func makeLayout(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: layout DIR ROOT [arch=ARCH] [user=USER] COMMAND...")
	}
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	ts.Check(tw.AddFS(os.DirFS(ts.MkAbs(args[1]))))
	ts.Check(tw.Close())
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	ts.Check(err)
	img, err := mutate.AppendLayers(empty.Image, layer)
	ts.Check(err)
	was, err := img.ConfigFile()
	ts.Check(err)
	c := was.DeepCopy()
	c.OS, c.Architecture = "linux", runtime.GOARCH
	c.Config = v1.Config{Env: []string{"GREETING=hi", "PATH=/bin"}, WorkingDir: "/bin"}
	for _, arg := range args[2:] {
		arch, isArch := strings.CutPrefix(arg, "arch=")
		user, isUser := strings.CutPrefix(arg, "user=")
		switch {
		case isArch:
			c.Architecture = arch
		case isUser:
			c.Config.User = user
		default:
			c.Config.Entrypoint = append(c.Config.Entrypoint, arg)
		}
	}
	img, err = mutate.ConfigFile(img, c)
	ts.Check(err)
	at, err := layout.Write(ts.MkAbs(args[0]), empty.Index)
	ts.Check(err)
	ts.Check(at.AppendImage(img))
}
