package pull

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/dalamb/dalamb/internal/fault"
)

// File is an image in the file system: an OCI image layout as a directory or a tar archive, what docker save writes, or what is Held.
type File struct {
	path  string
	image v1.Image      // one of both
	index v1.ImageIndex // of several platforms
	tmp   string        // "" = none

	// Transport brings Push's requests to the node; nil = the network does.
	Transport http.RoundTripper
	// Sent is told how far Push is, in bytes, before it returns; nil = nobody is.
	Sent func(done, total int64)
}

// OpenFile reads the image at a path, as far as its name, its digest and its parts go.
func OpenFile(path string) (*File, error) {
	f := &File{path: path}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.New(fault.Invalid, "there is no image %s", path).
			WithHint("what begins with ./ or ../ is a file or directory beside the manifest, anything else an image in a registry")
	case err != nil:
	case info.IsDir():
		err = f.layout(path)
	case info.Size() == 0:
		err = errors.New("it is empty")
	default:
		err = f.archive()
	}
	if err != nil {
		f.Close()
		return nil, fault.New(fault.Invalid, "%s is not an image: %w", path, err).
			WithHint("it takes an OCI image layout (a directory or a tar archive of one), or what docker save writes")
	}
	return f, nil
}

// Close removes what OpenFile has unpacked.
func (f *File) Close() {
	if f.tmp != "" {
		os.RemoveAll(f.tmp)
	}
}

// layout takes the one image of a layout, or its index where it has several. // OCI image-spec image-layout.md
func (f *File) layout(dir string) error {
	index, err := layout.ImageIndexFromPath(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("it has no index.json")
	}
	if err != nil {
		return err
	}
	m, err := index.IndexManifest()
	if err != nil {
		return err
	}
	if len(m.Manifests) == 0 {
		return errors.New("its index is empty")
	}
	if f.index = index; len(m.Manifests) > 1 {
		return nil
	}
	switch d := m.Manifests[0]; {
	case d.MediaType.IsIndex():
		f.index, err = index.ImageIndex(d.Digest)
	case d.MediaType.IsImage():
		f.index = nil
		f.image, err = index.Image(d.Digest)
	default:
		return fmt.Errorf("its index names a %s", d.MediaType)
	}
	return err
}

func (f *File) archive() error {
	is, err := f.unpackLayout()
	switch {
	case err != nil:
		return err
	case is:
		return f.layout(f.tmp)
	}
	f.image, err = tarball.ImageFromPath(f.path, nil)
	return err
}

// unpackLayout unpacks an archive that is a layout. What docker save writes may be both; its own form is the one to read then, since it
// says which image was meant.
func (f *File) unpackLayout() (is bool, err error) {
	in, err := os.Open(f.path)
	if err != nil {
		return false, err
	}
	defer in.Close()
	if how := compression(in); how != "" {
		return false, fmt.Errorf("it is compressed (%s); unpack it first", how)
	}
	if f.tmp, err = os.MkdirTemp("", "dalamb-image-*"); err != nil {
		return false, err
	}
	root, err := os.OpenRoot(f.tmp)
	if err != nil {
		return false, err
	}
	defer root.Close()
	tr := tar.NewReader(in)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return is, nil
		}
		if err != nil {
			return false, err
		}
		switch at := filepath.Clean(h.Name); {
		case at == "manifest.json":
			return false, nil
		case h.Typeflag != tar.TypeReg:
			continue
		case at == "oci-layout":
			is = true
		}
		if err := writeTo(root, h.Name, tr); err != nil {
			return false, err
		}
	}
}

// compression says how a file is compressed, by how it begins; "" = it is not, or nobody knows. RFC 1952, RFC 8878
func compression(in io.ReaderAt) string {
	begin := make([]byte, 4)
	n, _ := in.ReadAt(begin, 0) // of a file that is too short the reader of archives says so
	for how, magic := range map[string]string{"gzip": "\x1f\x8b", "zstd": "\x28\xb5\x2f\xfd", "bzip2": "BZh", "xz": "\xfd7zX"} {
		if bytes.HasPrefix(begin[:n], []byte(magic)) {
			return how
		}
	}
	return ""
}

func writeTo(root *os.Root, name string, content io.Reader) error {
	if err := root.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	out, err := root.Create(name)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, content); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}

// Push sends the image to a repository of the registry of the node at control, and returns the reference to it, which that node and
// those beside it understand.
func (f *File) Push(ctx context.Context, control, token, repository string) (string, error) {
	u, err := url.Parse(control)
	if err != nil {
		return "", fmt.Errorf("read the node's address: %w", err)
	}
	var opts []name.Option
	if u.Scheme == "http" {
		opts = append(opts, name.Insecure)
	}
	digest, err := f.digest()
	if err == nil {
		err = f.whole()
	}
	if err != nil {
		return "", notWhole(f.path, err)
	}
	ref, err := name.NewDigest(u.Host+"/"+repository+"@"+digest.String(), opts...)
	if err != nil {
		return "", fmt.Errorf("name the image: %w", err)
	}
	o := []remote.Option{remote.WithContext(ctx), remote.WithAuth(&authn.Basic{Username: "dalamb", Password: token})}
	if f.Transport != nil {
		o = append(o, remote.WithTransport(f.Transport))
	}
	if f.Sent != nil {
		updates, told := make(chan v1.Update, 16), make(chan struct{})
		o = append(o, remote.WithProgress(updates)) // which closes it at the end
		go func() {
			defer close(told)
			for u := range updates {
				f.Sent(u.Complete, u.Total)
			}
		}()
		defer func() { <-told }()
	}
	if f.index != nil {
		err = remote.WriteIndex(ref, f.index, o...)
	} else {
		err = remote.Write(ref, f.image, o...)
	}
	if err != nil {
		var refused *transport.Error
		invalid := func(d transport.Diagnostic) bool {
			return d.Code == transport.DigestInvalidErrorCode || d.Code == transport.SizeInvalidErrorCode
		}
		if strings.Contains(err.Error(), "error verifying") || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, os.ErrNotExist) ||
			errors.As(err, &refused) && slices.ContainsFunc(refused.Errors, invalid) {
			return "", notWhole(f.path, err)
		}
		return "", explain(f.path, u.Host, err)
	}
	return OwnHost + "/" + repository + "@" + digest.String(), nil
}

func (f *File) digest() (v1.Hash, error) {
	if f.index != nil {
		return f.index.Digest()
	}
	return f.image.Digest()
}
