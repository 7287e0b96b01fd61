package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/image/pull"
	"github.com/dalamb/dalamb/internal/wire"
)

// imageFiles are the images that stand beside a manifest, by what the manifest calls them.
type imageFiles struct {
	files map[string]*pull.File
	sent  map[string]string // references, once they are with the node
	shown progress
}

// localImages opens each of them once.
func localImages(m *function.Manifest, manifest string, shown progress) (imageFiles, error) {
	fs := imageFiles{map[string]*pull.File{}, map[string]string{}, shown}
	for _, d := range m.Functions {
		ref := d.Spec.ImageRef()
		if err := besides(d.Spec.Name, ref, manifest); err != nil {
			return fs, err
		}
		if !function.LocalImage(ref) || fs.files[ref] != nil {
			continue
		}
		f, err := pull.OpenFile(filepath.Join(filepath.Dir(manifest), ref))
		if err != nil {
			return fs, fmt.Errorf("image of %s: %w", d.Spec.Name, err)
		}
		fs.files[ref] = f
	}
	return fs, nil
}

// besides refuses what is read as a name in a registry, while a file of that name stands beside the manifest.
func besides(fn, ref, manifest string) error {
	if ref == "" || function.LocalImage(ref) {
		return nil
	}
	info, err := os.Stat(filepath.Join(filepath.Dir(manifest), ref))
	if ext := filepath.Ext(ref); err != nil && (ext == ".tar" || ext == ".tgz" || ext == ".gz") {
		return fault.New(fault.Invalid, "image of %s: %q names an image of a registry, looks like a file, and none of that name stands beside the manifest", fn, ref).
			WithHint("write ./ and the path of a file; an image in a registry with its tag: %s:latest", ref)
	}
	if err != nil || !info.Mode().IsRegular() {
		return nil // most have none
	}
	return fault.New(fault.Invalid, "image of %s: %q names an image of a registry, and there is a file of that name beside the manifest", fn, ref).
		WithHint("write ./%s for the file", ref)
}

func (fs imageFiles) close() {
	for _, f := range fs.files {
		f.Close()
	}
}

// ask lets the node refuse a function before its image is sent, which may be large.
func (fs imageFiles) ask(ctx context.Context, node *client.Client, req wire.DeployRequest) error {
	if fs.files[req.Spec.ImageRef()] == nil {
		return nil
	}
	req.DryRun = true
	_, err := node.Deploy(ctx, req)
	return err
}

// push sends the image of a spec to the node's registry, and names it in the spec as it is called there.
func (fs imageFiles) push(ctx context.Context, node *client.Client, s *function.Spec) error {
	local := s.ImageRef()
	f := fs.files[local]
	if f == nil {
		return nil
	}
	ref := fs.sent[local]
	if ref == "" {
		control, token := node.Address()
		f.Sent, f.Transport = fs.shown.sending(s.Name), node.Transport()
		var err error
		ref, err = f.Push(ctx, control, token, pull.Sent+s.Name)
		fs.shown.show("")
		if err != nil {
			return err
		}
		fs.sent[local] = ref
	}
	s.RunIn(ref)
	return nil
}

// imageLine says what a deploy found and brought.
func imageLine(i *wire.DeployedImage) string {
	line := fmt.Sprintf("image %s, %s, %s", short(i.Digest, 19), count(int64(i.Layers), "layer"), bytesText(i.Bytes))
	if i.Pulled == 0 {
		return line + ", all of it here already"
	}
	return line + fmt.Sprintf("; pulled %d of them, %s", i.Pulled, bytesText(i.PulledBytes))
}
