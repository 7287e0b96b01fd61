package pull

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/dalamb/dalamb/internal/fault"
)

// maxLayers is what a sandbox can be made of.
const maxLayers = 127

// maxNesting is how deep an index may stand in another.
const maxNesting = 4

// Resolve finds the image that a reference names, for this machine's platform. Of its content only manifest and config are brought.
func (p *Puller) Resolve(ctx context.Context, ref string) (*Image, error) {
	at, err := p.locate(ref)
	if err != nil {
		return nil, err
	}
	manifest, digest, err := p.platform(ctx, at, ref)
	if err != nil {
		return nil, err
	}
	if err := checkManifest(ref, manifest); err != nil {
		return nil, err
	}
	img := &Image{Reference: ref, Digest: digest}
	config, err := p.config(ctx, ref, manifest.Config)
	if err != nil {
		return nil, err
	}
	img.Config = config.Config
	if os, arch := config.OS, config.Architecture; os != "linux" || arch != p.o.Arch {
		return nil, otherPlatform(ref, p.o.Arch, []string{os + "/" + arch})
	}
	if n := len(config.RootFS.DiffIDs); n != len(manifest.Layers) {
		return nil, notAnImage(ref, fmt.Sprintf("its config names %d layers and its manifest %d", n, len(manifest.Layers)))
	}
	for i, l := range manifest.Layers {
		img.Layers = append(img.Layers, Layer{Digest: l.Digest.String(), DiffID: config.RootFS.DiffIDs[i].String(), Bytes: l.Size})
	}
	return img, nil
}

// platform follows indexes to the manifest for this machine.
func (p *Puller) platform(ctx context.Context, at *place, ref string) (*v1.Manifest, string, error) {
	digest := ""
	for range maxNesting {
		raw, got, err := p.manifest(ctx, at, digest)
		if err != nil {
			return nil, "", err
		}
		if len(raw) > maxSmall {
			return nil, "", tooLarge(got, int64(len(raw)))
		}
		index, err := v1.ParseIndexManifest(bytes.NewReader(raw))
		if err == nil && (index.MediaType.IsIndex() || len(index.Manifests) > 0) {
			if digest, err = p.choose(ref, index); err != nil {
				return nil, "", err
			}
			continue
		}
		manifest, err := v1.ParseManifest(bytes.NewReader(raw))
		if err != nil {
			return nil, "", notAnImage(ref, "its manifest is not JSON")
		}
		return manifest, got, nil
	}
	return nil, "", notAnImage(ref, "its indexes lead to indexes")
}

// choose is the digest that an index has for this machine.
func (p *Puller) choose(ref string, index *v1.IndexManifest) (string, error) {
	var there []string
	for _, m := range index.Manifests {
		switch {
		case m.Platform == nil && len(index.Manifests) == 1:
			return m.Digest.String(), nil
		case m.Platform == nil:
			continue
		case m.Platform.OS == "linux" && m.Platform.Architecture == p.o.Arch:
			return m.Digest.String(), nil
		case m.Platform.OS != "unknown": // BuildKit's attestations are of no platform
			there = append(there, m.Platform.String())
		}
	}
	return "", otherPlatform(ref, p.o.Arch, there)
}

func checkManifest(ref string, m *v1.Manifest) error {
	switch {
	case m.SchemaVersion != 2:
		return notAnImage(ref, fmt.Sprintf("its manifest is of schema version %d", m.SchemaVersion))
	case m.Config.MediaType != types.OCIConfigJSON && m.Config.MediaType != types.DockerConfigJSON:
		return notAnImage(ref, fmt.Sprintf("it is of the type %q", m.Config.MediaType))
	case len(m.Layers) == 0:
		return notAnImage(ref, "it has no layers")
	case len(m.Layers) > maxLayers:
		return notAnImage(ref, fmt.Sprintf("it has %d layers; a function can have %d", len(m.Layers), maxLayers))
	}
	for i, l := range m.Layers {
		if !l.MediaType.IsLayer() || !l.MediaType.IsDistributable() {
			return notAnImage(ref, fmt.Sprintf("its layer %d is of the type %q", i+1, l.MediaType))
		}
		if !strings.HasPrefix(l.Digest.String(), "sha256:") {
			return notAnImage(ref, fmt.Sprintf("its layer %d is named by %s", i+1, l.Digest.Algorithm))
		}
	}
	return nil
}

func (p *Puller) config(ctx context.Context, ref string, d v1.Descriptor) (*v1.ConfigFile, error) {
	if d.Size > maxSmall {
		return nil, tooLarge(d.Digest.String(), d.Size)
	}
	if err := p.Fetch(ctx, Content{Reference: ref, Digest: d.Digest.String(), Bytes: d.Size}); err != nil {
		return nil, err
	}
	raw, err := p.small(d.Digest.String())
	if err != nil {
		return nil, err
	}
	config, err := v1.ParseConfigFile(bytes.NewReader(raw))
	if err != nil {
		return nil, notAnImage(ref, "its config is not JSON")
	}
	return config, nil
}

func otherPlatform(ref, arch string, there []string) error {
	if len(there) == 0 {
		there = []string{"no platform"}
	}
	return fault.New(fault.Invalid, "image %s is for %s, and not for this machine, linux/%s", ref, strings.Join(there, ", "), arch).
		WithHint("build it for linux/%s too: docker buildx build --platform linux/%[1]s", arch)
}
