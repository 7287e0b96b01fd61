package build

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// Bounds of what one build may ask, whose programs may be anybody's.
const (
	maxAsked = 256 // manifests; each that was not asked for before is looked for in a registry

	maxManifests = 16 << 20 // bytes of all manifests that were asked for: they are kept in memory
	maxNamed     = 16 << 10 // layers and the like that they name
)

// imageBuild is what the node does for one build of an image: it is the registry of its base images. It has those that the Dockerfile names, and no
// other, from wherever the node gets images from; a build needs no network for them, and never sees the credentials.
type imageBuild struct {
	images Images
	places []basePlace

	fetch chan struct{} // who holds it brings a manifest: one at a time, so that what is not counted yet is bounded too

	mu    sync.Mutex
	bytes int                  // of the manifests in asked
	sizes map[string]int64     // of what manifests name that were asked for, by digest
	asked map[string]*Manifest // nil = nobody has it yet
	bases map[string]string    // digests of what references named
	err   error                // why an image cannot be had, the first
}

// basePlace is a repository that the Dockerfile names.
type basePlace struct{ registry, repository string }

func newImageBuild(images Images, refs []string) (*imageBuild, error) {
	img := &imageBuild{images: images, fetch: make(chan struct{}, 1), sizes: map[string]int64{}, asked: map[string]*Manifest{}, bases: map[string]string{}}
	for _, ref := range refs {
		registry, repository, err := images.Place(ref)
		if err != nil {
			return nil, err
		}
		if at := (basePlace{registry, repository}); !slices.Contains(img.places, at) {
			img.places = append(img.places, at)
		}
	}
	return img, nil
}

// registries are those of the images, each once; the build knows one by its number.
func (img *imageBuild) registries() (list []string) {
	for _, p := range img.places {
		if !slices.Contains(list, p.registry) {
			list = append(list, p.registry)
		}
	}
	return list
}

// settings lead all registries to the one on the loopback. // containers-registries.conf(5)
func (img *imageBuild) settings() string {
	text := "unqualified-search-registries = [\"docker.io\"]\nshort-name-mode = \"disabled\"\n"
	for i, registry := range img.registries() {
		text += fmt.Sprintf("[[registry]]\nprefix = %q\nlocation = \"127.0.0.1:%d/%d\"\ninsecure = true\n", registry, basesPort, i)
	}
	return text
}

// ask is for a manifest, which the node remembers.
func (img *imageBuild) ask(ctx context.Context, ref string) (*Manifest, error) {
	img.mu.Lock()
	m, again := img.asked[ref]
	many := len(img.asked) >= maxAsked && !again
	if !many {
		img.asked[ref] = m
	}
	img.mu.Unlock()
	if many {
		return nil, fault.New(fault.Invalid, "a build asked for more than %d manifests of images", maxAsked)
	}
	if m != nil {
		return m, nil
	}
	return img.bring(ctx, ref)
}

// bring gets a manifest that was not there when it was asked for.
func (img *imageBuild) bring(ctx context.Context, ref string) (*Manifest, error) {
	select {
	case img.fetch <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-img.fetch }()
	img.mu.Lock()
	m := img.asked[ref]
	img.mu.Unlock()
	if m != nil {
		return m, nil // who asked at the same time has brought it
	}
	m, err := img.images.Manifest(ctx, ref)
	if err != nil {
		return nil, notHad(err)
	}
	return m, img.note(ref, m)
}

// notHad is an error of a base image: which there is none of, the Dockerfile is to blame for.
func notHad(err error) error {
	kind := fault.KindOf(err)
	if kind == fault.NotFound {
		kind = fault.Invalid
	}
	return fault.New(kind, "the Dockerfile names an image that cannot be had: %w", err).WithHint("%s", fault.HintOf(err))
}

// note remembers what was asked for, and the sizes of what it consists of; unless that is too much.
func (img *imageBuild) note(ref string, m *Manifest) error {
	type descriptor struct {
		Digest string `json:"digest"`
		Size   int64  `json:"size"`
	}
	var parts struct {
		Config    descriptor   `json:"config"`
		Layers    []descriptor `json:"layers"`
		Manifests []descriptor `json:"manifests"`
	}
	_ = json.Unmarshal(m.Raw, &parts) // one that is no JSON has no parts
	img.mu.Lock()
	defer img.mu.Unlock()
	if img.bytes+len(m.Raw) > maxManifests {
		return fault.New(fault.Invalid, "a build asked for manifests of images that have more than %d MiB together", maxManifests>>20).
			WithHint("do all images that the Dockerfile names have to be in one build?")
	}
	if named := len(parts.Layers) + len(parts.Manifests) + 1; len(img.sizes)+named > maxNamed {
		return fault.New(fault.Invalid, "a build asked for images whose manifests name more than %d layers, configurations and manifests", maxNamed).
			WithHint("do all images that the Dockerfile names have to be in one build?")
	}
	img.bytes += len(m.Raw)
	img.asked[ref] = m
	for _, d := range append(parts.Layers, parts.Config) {
		img.sizes[d.Digest] = d.Size
	}
	if _, part := img.sizes[m.Digest]; !part { // of an index that was asked for it is no base of its own
		img.bases[ref] = m.Digest
	}
	for _, d := range parts.Manifests {
		img.sizes[d.Digest] = d.Size
	}
	return nil
}

// sizeOf is that of what a manifest names that was asked for.
func (img *imageBuild) sizeOf(digest string) (size int64, known bool) {
	img.mu.Lock()
	defer img.mu.Unlock()
	size, known = img.sizes[digest]
	return size, known
}

// blame keeps the first reason why an image cannot be had.
func (img *imageBuild) blame(err error) {
	img.mu.Lock()
	defer img.mu.Unlock()
	if img.err == nil {
		img.err = err
	}
}

// served lists the images that the build asked for.
func (img *imageBuild) served() (list []function.Base) {
	img.mu.Lock()
	defer img.mu.Unlock()
	for ref, digest := range img.bases {
		list = append(list, function.Base{Reference: ref, Digest: digest})
	}
	slices.SortFunc(list, func(a, b function.Base) int { return strings.Compare(a.Reference, b.Reference) })
	return list
}

// trouble is why a base image cannot be had; nil = all could that were asked for.
func (img *imageBuild) trouble() error {
	img.mu.Lock()
	defer img.mu.Unlock()
	if errors.Is(img.err, context.Canceled) {
		return nil
	}
	return img.err
}
