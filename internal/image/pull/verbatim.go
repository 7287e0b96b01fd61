package pull

import (
	"context"
	"encoding/json"
	"io"

	"github.com/google/go-containerregistry/pkg/name"
)

// Manifest brings what a reference names, as its registry has it: the manifest of one image, or an index of several.
func (p *Puller) Manifest(ctx context.Context, ref string) (raw []byte, mediaType, digest string, err error) {
	at, err := p.locate(ref)
	if err != nil {
		return nil, "", "", err
	}
	if raw, digest, err = p.manifest(ctx, at, ""); err != nil {
		return nil, "", "", err
	}
	if len(raw) > maxSmall {
		return nil, "", "", tooLarge(digest, int64(len(raw)))
	}
	var m struct {
		MediaType string            `json:"mediaType"`
		Manifests []json.RawMessage `json:"manifests"`
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, "", "", notAnImage(ref, "its manifest is not JSON")
	}
	switch {
	case m.MediaType != "":
	case m.Manifests != nil: // which OCI's own may leave out // OCI image-spec image-index.md
		m.MediaType = "application/vnd.oci.image.index.v1+json"
	default:
		m.MediaType = "application/vnd.oci.image.manifest.v1+json"
	}
	return raw, m.MediaType, digest, nil
}

// Content fetches and opens what a manifest names. The caller closes it.
func (p *Puller) Content(ctx context.Context, c Content) (io.ReadCloser, error) {
	if err := p.Fetch(ctx, c); err != nil {
		return nil, err
	}
	f, _, err := p.o.Blobs.Open(c.Digest)
	return f, err
}

// Place is where the content of a reference is looked for, by the names that tools like Docker write.
func Place(ref string) (registry, repository string, err error) {
	r, err := name.ParseReference(ref)
	if err != nil {
		return "", "", badReference(ref, err)
	}
	if registry = r.Context().RegistryStr(); registry == name.DefaultRegistry {
		registry = "docker.io"
	}
	return registry, r.Context().RepositoryStr(), nil
}
