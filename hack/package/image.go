package main

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const (
	nobody      = 65532 // the user of the image, who has no rights
	state       = "/var/lib/dalamb"
	authorities = "/etc/ssl/certs/ca-certificates.crt" // of the machine that makes the image
)

// image makes an OCI image layout and returns its path: the program, the authorities that it believes, and nothing else.
func (p *program) image(context.Context) (string, error) {
	content, err := p.layer()
	if err != nil {
		return "", err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil },
		tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return "", fmt.Errorf("make the layer: %w", err)
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err = mutate.Append(img, mutate.Addendum{Layer: layer, History: v1.History{Created: v1.Time{Time: p.made}, CreatedBy: "hack/package"}})
	if err != nil {
		return "", fmt.Errorf("add the layer: %w", err)
	}
	file, err := img.ConfigFile()
	if err != nil {
		return "", fmt.Errorf("read the image's configuration: %w", err)
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Created = "linux", p.arch, v1.Time{Time: p.made}
	file.Config = v1.Config{
		Entrypoint: []string{"/usr/bin/dalamb"}, Cmd: []string{"up"}, User: fmt.Sprintf("%d:%d", nobody, nobody), WorkingDir: state, StopSignal: "SIGTERM",
		Env:          []string{"PATH=/usr/bin", "DALAMB_DATA=" + state, "HOME=" + state},
		Volumes:      map[string]struct{}{state: {}},
		ExposedPorts: map[string]struct{}{"8080/tcp": {}},
		Labels:       map[string]string{"org.opencontainers.image.title": "dalamb", "org.opencontainers.image.version": p.version},
	}
	if img, err = mutate.ConfigFile(img, file); err != nil {
		return "", fmt.Errorf("set the image's configuration: %w", err)
	}
	at := filepath.Join(p.out, "dalamb.oci")
	if err := os.RemoveAll(at); err != nil { // a layout only grows
		return "", fmt.Errorf("remove the image before: %w", err)
	}
	to, err := layout.Write(at, empty.Index)
	if err != nil {
		return "", fmt.Errorf("write the image: %w", err)
	}
	if err := to.AppendImage(img, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": p.version})); err != nil {
		return "", fmt.Errorf("write the image: %w", err)
	}
	return at, nil
}

// layer is the file system of the image.
func (p *program) layer() ([]byte, error) {
	binary, err := os.ReadFile(p.binary)
	if err != nil {
		return nil, fmt.Errorf("read the program: %w", err)
	}
	trusted, err := os.ReadFile(authorities)
	if err != nil {
		return nil, fmt.Errorf("read the authorities (ca-certificates has them): %w", err)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range []struct {
		name  string
		mode  int64
		owner int
		text  []byte // nil = a directory
	}{
		{"etc/", 0o755, 0, nil},
		{"etc/passwd", 0o644, 0, fmt.Appendf(nil, "root:x:0:0:root:/:/sbin/nologin\ndalamb:x:%d:%d:dalamb:%s:/sbin/nologin\n", nobody, nobody, state)},
		{"etc/group", 0o644, 0, fmt.Appendf(nil, "root:x:0:\ndalamb:x:%d:\n", nobody)},
		{"etc/ssl/", 0o755, 0, nil},
		{"etc/ssl/certs/", 0o755, 0, nil},
		{authorities[1:], 0o644, 0, trusted},
		{"tmp/", 0o1777, 0, nil},
		{"usr/", 0o755, 0, nil},
		{"usr/bin/", 0o755, 0, nil},
		{"usr/bin/dalamb", 0o755, 0, binary},
		{"var/", 0o755, 0, nil},
		{"var/lib/", 0o755, 0, nil},
		{state[1:] + "/", 0o700, nobody, nil},
	} {
		h := &tar.Header{Name: f.name, Mode: f.mode, Uid: f.owner, Gid: f.owner, Size: int64(len(f.text)), ModTime: p.made, Typeflag: tar.TypeReg, Format: tar.FormatPAX}
		if f.text == nil {
			h.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("write %s: %w", f.name, err)
		}
		if _, err := w.Write(f.text); err != nil {
			return nil, fmt.Errorf("write %s: %w", f.name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("end the layer: %w", err)
	}
	return b.Bytes(), nil
}
