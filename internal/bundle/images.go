package bundle

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
)

// The images are an OCI image layout below images/, so that other tools can take them from an unpacked bundle. // OCI image-spec image-layout.md
const (
	layoutPath = "images/oci-layout"
	indexPath  = "images/index.json"
)

// blobName is how content of images is called.
var blobName = regexp.MustCompile(`^images/blobs/sha256/([0-9a-f]{64})$`)

func blobPath(digest string) string { return "images/blobs/" + strings.Replace(digest, ":", "/", 1) }

// document is an entry of which the text is known.
type document struct {
	path string
	text []byte
}

// layoutOf are the files by which the content is a layout; none where there is no content.
func layoutOf(b *Bundle) ([]document, error) {
	if len(b.Content) == 0 {
		return nil, nil
	}
	type descriptor struct {
		MediaType string `json:"mediaType"`
		Digest    string `json:"digest"`
		Size      int64  `json:"size"`
	}
	index := struct {
		SchemaVersion int          `json:"schemaVersion"`
		MediaType     string       `json:"mediaType"`
		Manifests     []descriptor `json:"manifests"`
	}{2, "application/vnd.oci.image.index.v1+json", nil}
	for _, digest := range b.Manifest.Packed {
		at := slices.IndexFunc(b.Content, func(c Blob) bool { return c.Digest == digest })
		if at < 0 {
			return nil, fmt.Errorf("the manifest %s of a packed image is not among the content", digest)
		}
		index.Manifests = append(index.Manifests, descriptor{"application/vnd.oci.image.manifest.v1+json", digest, b.Content[at].Size})
	}
	text, err := json.Marshal(index)
	return []document{{layoutPath, []byte(`{"imageLayoutVersion":"1.0.0"}`)}, {indexPath, text}}, err
}

// putBlob writes content, which is checked on its way: who reads the bundle must not be the first to see that a disk has failed.
func putBlob(out *tar.Writer, c Blob, open func(string) (io.ReadCloser, error)) error {
	from, err := open(c.Digest)
	if err != nil {
		return err
	}
	defer from.Close()
	if err := out.WriteHeader(header(blobPath(c.Digest), c.Size)); err != nil {
		return err
	}
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(out, sum), from); err != nil {
		return err
	}
	if got := "sha256:" + hex.EncodeToString(sum.Sum(nil)); got != c.Digest {
		return fault.New(fault.Internal, "the content that is stored is %s", got).WithHint("the disk has changed it; remove it, and push or pull the image again")
	}
	return nil
}

// Blob opens content of a packed image; NotFound when it is not here.
func (o *Opened) Blob(digest string) (io.ReadCloser, int64, error) {
	at, ok := o.blobs[digest]
	if !ok {
		return nil, 0, fault.New(fault.NotFound, "the bundle has no content %s", fault.Clip(digest))
	}
	return io.NopCloser(io.NewSectionReader(o.file, at.from, at.size)), at.size, nil
}

// Packs says whether the image with a manifest is here with all of its content.
func (o *Opened) Packs(digest string) bool { return slices.Contains(o.Manifest.Packed, digest) }
