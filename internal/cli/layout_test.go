package cli_test

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"runtime"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/rogpeppe/go-internal/testscript"
)

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
