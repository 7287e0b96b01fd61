package pull

import (
	"fmt"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/dalamb/dalamb/internal/fault"
)

func notWhole(path string, err error) error {
	return fault.New(fault.Invalid, "%s is not a whole image: %w", path, err).WithHint("make it again, or copy it again")
}

// whole says which part of a layout has another size than its manifest says. What has other bytes the registry refuses.
func (f *File) whole() error {
	if f.index == nil {
		return partsOf(f.image)
	}
	m, err := f.index.IndexManifest()
	if err != nil {
		return err
	}
	for _, d := range m.Manifests {
		if !d.MediaType.IsImage() {
			continue
		}
		img, err := f.index.Image(d.Digest)
		if err == nil {
			err = partsOf(img)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// partsOf looks at the sizes of what an image refers to. Files alone can be looked at without reading them.
func partsOf(img v1.Image) error {
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	for i, l := range layers {
		want, err := l.Size()
		if err != nil {
			return err
		}
		content, err := l.Compressed()
		if err != nil {
			return err
		}
		file, is := content.(*os.File)
		if is {
			info, statErr := file.Stat()
			if err = statErr; err == nil && info.Size() != want {
				err = fmt.Errorf("layer %d of %d has %d bytes, and %d by the manifest", i+1, len(layers), info.Size(), want)
			}
		}
		content.Close()
		if err != nil {
			return err
		}
	}
	return nil
}
