package api

import (
	"context"
	"fmt"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// Images is what the API needs of the images that functions run in.
type Images interface {
	// Prepare brings the image that a spec names, fills in what the image says and the spec does not, and returns what a version records
	// of it; nil = the spec names none. pulled are the layers that were not here.
	Prepare(ctx context.Context, spec *function.Spec) (img *function.Image, pulled []function.Layer, err error)
	// Publish puts what other nodes cannot get elsewhere where they find it.
	Publish(ctx context.Context, img *function.Image) error
	// Bring sees to it that an image can be run on this node.
	Bring(ctx context.Context, img *function.Image) error
	// Trouble says why an image cannot be run on this node; nil = it can.
	Trouble(img *function.Image) error
	// Unpacked is how many bytes the layers of an image have that are unpacked here.
	Unpacked(img *function.Image) int64
	// Kept lists what the node's own registry has, and how much room all images take, without what functions use.
	Kept() (wire.ImageList, error)
}

// Pulling is an ability of Images.
type Pulling interface {
	// Pulls lists the images that are on their way here.
	Pulls() []wire.ImagePull
}

// checkImage refuses an image where the function's runner has none.
func (a *API) checkImage(ctx context.Context, spec *function.Spec) error {
	ref := spec.ImageRef()
	if ref == "" {
		return nil
	}
	runner, err := a.fence(ctx, spec)
	if err != nil {
		return err
	}
	if !runner.Images || a.images == nil {
		return fault.New(fault.Unavailable, "function %q wants the image %s, and the runner %s has no images", spec.Name, ref, runner.Name).
			WithHint("start the node with a runner that has file systems of its own: --runner native, on Linux")
	}
	return nil
}

// prepareImage brings a function's image. It is the last check of a deploy: nothing is pulled for one that is refused.
func (a *API) prepareImage(ctx context.Context, spec *function.Spec, out *wire.Deployed) (*function.Image, error) {
	ref := spec.ImageRef()
	if ref == "" {
		return nil, nil
	}
	if function.LocalImage(ref) {
		return nil, fault.New(fault.Invalid, "image %s of function %q is a file where the manifest is", ref, spec.Name).
			WithHint("dalamb deploy sends it; else push it to a registry, and name it by that")
	}
	img, pulled, err := a.images.Prepare(ctx, spec)
	if err != nil {
		return nil, fmt.Errorf("function %q: %w", spec.Name, err)
	}
	if err := spec.Validate(); err != nil {
		return nil, fmt.Errorf("function %q: %w", spec.Name, err)
	}
	out.Image = &wire.DeployedImage{Reference: img.Reference, Digest: img.Digest, Layers: len(img.Layers), Pulled: len(pulled)}
	for _, l := range img.Layers {
		out.Image.Bytes += l.Bytes
	}
	for _, l := range pulled {
		out.Image.PulledBytes += l.Bytes
	}
	return img, nil
}

// imageTrouble says why this node cannot run a version; "" = it can.
func (a *API) imageTrouble(v *function.Version) string {
	if v == nil || v.Image == nil || a.images == nil {
		return ""
	}
	if err := a.images.Trouble(v.Image); err != nil {
		return err.Error()
	}
	return ""
}
