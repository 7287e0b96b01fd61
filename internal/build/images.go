package build

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/image"
	"github.com/dalamb/dalamb/internal/runner"
)

// Images are the images that builds begin with and make. Safe for concurrent use.
type Images interface {
	// Manifest brings what a reference names: a manifest, or an index of several.
	Manifest(ctx context.Context, ref string) (*Manifest, error)
	// Content opens what a manifest of the reference's repository names; bytes is the size that it says. The caller closes it.
	Content(ctx context.Context, ref, digest string, bytes int64) (io.ReadCloser, error)
	// Put keeps the image of an OCI layout for a function, and returns the reference to it, which ends with @ and its digest.
	Put(ctx context.Context, layout, function string) (ref string, err error)
	// Place is where the content of a reference is looked for: registry, and repository in it.
	Place(ref string) (registry, repository string, err error)
}

// Manifest is one as a registry has it.
type Manifest struct {
	Raw    []byte
	Type   string // media type
	Digest string
}

// open opens the secrets that a build sees.
func (b *Builds) open(r *Request) (files []runner.SecretFile, err error) {
	for _, name := range r.Build.Secrets {
		full := function.Full(function.Environment(r.Function), name)
		err := error(fault.New(fault.NotFound, "this node has no secrets"))
		var text []byte
		if b.secrets != nil {
			text, err = b.secrets.Secret(full)
		}
		if err != nil {
			hint := fault.HintOf(err)
			if hint == "" && fault.KindOf(err) == fault.NotFound {
				hint = "set it first: dalamb secret set " + full
			}
			return nil, fault.New(fault.Invalid, "build.secrets: %w", err).WithHint("%s", hint)
		}
		files = append(files, runner.SecretFile{Name: name, Text: text})
	}
	return files, nil
}

// takeImage puts what the build made into the store of images.
func (b *Builds) takeImage(ctx context.Context, j *job) (*Result, error) {
	layout := filepath.Join(j.place.out(), layoutName)
	if err := checkLayout(layout); err != nil {
		return nil, err
	}
	ref, err := b.images.Put(ctx, layout, j.Function)
	if err != nil {
		return nil, fault.New(fault.KindOf(err), "what the build made cannot be kept as an image: %w", err).WithHint("%s", fault.HintOf(err))
	}
	_, digest, ok := strings.Cut(ref, "@")
	if !ok {
		return nil, fmt.Errorf("the image %s of a build has no digest", ref)
	}
	return &Result{Code: digest, Image: ref}, nil
}

// checkLayout refuses what is no tree of files: a build may have put links anywhere, and what is read here is read as the node.
func checkLayout(dir string) error {
	if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
		return fault.New(fault.Invalid, "the build made no image")
	}
	err := filepath.WalkDir(dir, func(path string, de fs.DirEntry, err error) error {
		if err == nil && !de.IsDir() && !de.Type().IsRegular() {
			return noImage("%s is not a file", fault.Clip(de.Name()))
		}
		return err
	})
	if err != nil {
		return err
	}
	var index struct {
		Manifests []part `json:"manifests"`
	}
	if err := readPart(filepath.Join(dir, "index.json"), &index); err != nil {
		return err
	}
	if len(index.Manifests) != 1 {
		return noImage("it has %d manifests", len(index.Manifests))
	}
	var manifest struct {
		Config part   `json:"config"`
		Layers []part `json:"layers"`
	}
	if err := readPart(index.Manifests[0].file(dir), &manifest); err != nil {
		return err
	}
	return readPart(manifest.Config.file(dir), new(struct{}))
}

// part is what an index or a manifest names. // OCI image-spec descriptor.md
type part struct {
	Digest string `json:"digest"`
}

// file is where a layout has it; what is no digest leads nowhere.
func (p part) file(layout string) string {
	algorithm, hex, _ := strings.Cut(p.Digest, ":")
	if _, err := image.ParseDigest(p.Digest); err != nil {
		return filepath.Join(layout, "none")
	}
	return filepath.Join(layout, "blobs", algorithm, hex)
}

// maxPart bounds what is read of an image into memory, in bytes: all but its layers.
const maxPart = 4 << 20

// readPart reads a small JSON file of a layout that is made of files.
func readPart(path string, to any) error {
	info, err := os.Lstat(path)
	if err != nil || info.Size() > maxPart {
		return noImage("%s is not there, or has more than %d MiB", filepath.Base(path), maxPart>>20)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read what a build made: %w", err)
	}
	if err := json.Unmarshal(text, to); err != nil {
		return noImage("%s is no JSON of an image", filepath.Base(path))
	}
	return nil
}

func noImage(format string, args ...any) error {
	return fault.New(fault.Invalid, "what the build made is no image: "+format, args...)
}
