package app

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/api"
	"github.com/dalamb/dalamb/internal/config"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/image"
	"github.com/dalamb/dalamb/internal/image/pull"
	"github.com/dalamb/dalamb/internal/image/registry"
	"github.com/dalamb/dalamb/internal/provision"
	"github.com/dalamb/dalamb/internal/wire"
)

// openImages opens the content of images, the registry over it and the unpacked layers. All are below one directory: an upload becomes
// content by a rename.
func (n *Node) openImages() error {
	dir := filepath.Join(n.config.Data, "images")
	var err error
	if n.blobs, err = image.OpenBlobs(filepath.Join(dir, "content")); err != nil {
		return err
	}
	if n.layers, err = image.OpenLayers(filepath.Join(dir, "layers")); err != nil {
		return err
	}
	n.registry, err = registry.Open(registry.Options{Dir: filepath.Join(dir, "registry"), Blobs: n.blobs, Logger: n.logger, Pushed: n.pushed,
		Who:       ofInstallation(func(token string) (access.Actor, error) { return n.api.Who(token) }), // which is opened after it, and before any request
		Followers: func(repository string) []string { return n.follower.Followers(repository) },
	})
	return err
}

// openProvision wires what brings images.
func (n *Node) openProvision() error {
	var err error
	n.puller, err = pull.New(pull.Options{Blobs: n.blobs, Own: ownRegistry{n}, Registries: registries(n.config.Registries)})
	if err != nil {
		return err
	}
	n.images, err = provision.New(provision.Options{
		Puller: n.puller, Blobs: n.blobs, Layers: n.layers, Share: n.share, Versions: functions{n.catalog}, Logger: n.logger,
	})
	return err
}

// registries gives the settings to who pulls. A password is read when it is needed: it may be changed while the node runs.
func registries(list []config.Registry) []pull.Registry {
	var out []pull.Registry
	for _, r := range list {
		out = append(out, pull.Registry{
			Host: r.Host, Insecure: r.Insecure, Mirror: r.Mirror, User: r.User,
			Password: func() (string, error) {
				text, err := os.ReadFile(r.PasswordFile)
				if err != nil {
					return "", fault.New(fault.Unavailable, "%w", err).WithHint("the setting registries names the file; the node must be allowed to read it")
				}
				return strings.TrimRight(string(text), "\r\n"), nil
			},
		})
	}
	return out
}

// ownRegistry shows the node's registry to who pulls.
type ownRegistry struct{ n *Node }

func (o ownRegistry) Resolve(repository, reference string) (string, error) {
	m, err := o.n.registry.Resolve(repository, reference)
	return m.Digest, err
}

// Hosts implements pull.Own: the control listener's address, and what a client on this machine may call it.
func (o ownRegistry) Hosts() []string {
	listen := o.n.controlListener.Addr().String()
	_, port, err := net.SplitHostPort(listen)
	if err != nil {
		return []string{pull.OwnHost}
	}
	return []string{pull.OwnHost, listen, "localhost:" + port, "127.0.0.1:" + port}
}

// keptImages shows to the API what a node has of images.
type keptImages struct {
	*provision.Keeper
	n *Node
}

// Pulls implements api.Pulling.
func (k keptImages) Pulls() (all []wire.ImagePull) {
	for _, p := range k.Keeper.Pulls() {
		all = append(all, wire.ImagePull(p))
	}
	return all
}

// Parts implements api.Packing.
func (k keptImages) Parts(ctx context.Context, img *function.Image) (all []api.ImagePart, err error) {
	parts, err := k.Keeper.Parts(ctx, img)
	for _, p := range parts {
		all = append(all, api.ImagePart(p))
	}
	return all, err
}

// Fetch implements api.Packing.
func (k keptImages) Fetch(ctx context.Context, img *function.Image, part api.ImagePart) error {
	return k.Keeper.Fetch(ctx, img, provision.Part(part))
}

func (k keptImages) Unpacked(img *function.Image) int64 {
	var sum int64
	for _, l := range img.Layers {
		size, err := k.n.layers.Size(l.DiffID)
		if err == nil { // else it is not here
			sum += size
		}
	}
	return sum
}

func (k keptImages) Kept() (wire.ImageList, error) {
	list := wire.ImageList{Images: []wire.Image{}}
	for _, p := range k.n.registry.Images() {
		img := wire.Image{Digest: p.Digest, Registry: true, Bytes: p.Bytes}
		for _, name := range p.Names {
			img.References = append(img.References, pull.OwnHost+"/"+name)
		}
		for _, digest := range p.Manifests {
			if digest != p.Digest {
				img.Platforms = append(img.Platforms, digest)
			}
		}
		list.Images = append(list.Images, img)
	}
	err := k.n.blobs.Walk(func(_ string, size int64) error {
		list.Content += size
		return nil
	})
	if err != nil {
		return list, err
	}
	return list, k.n.layers.Walk(func(_ string, size int64) error {
		list.Layers++
		list.Unpacked += size
		return nil
	})
}

// sweepImages removes images that deploys sent and no version needs any more, and image content and layers that nothing needs.
func (n *Node) sweepImages(ctx context.Context) {
	removed := 0
	images, err := n.registry.Expire(ctx, pull.Sent, n.imagesInUse())
	if err == nil {
		needed := n.registry.Needed()
		removed, err = n.blobs.GC(func(digest string) bool { return needed[digest] })
	}
	if err == nil && removed > 0 {
		err = n.registry.Forget(ctx)
	}
	layers := 0
	if err == nil {
		layers, err = n.layers.GC(n.layersInUse())
	}
	switch {
	case err != nil:
		n.logger.Warn("image content that nobody needs could not be removed", "err", err)
	case images+removed+layers > 0:
		n.logger.Info("removed image content that nobody needs", "images", images, "blobs", removed, "layers", layers)
	}
}

// imagesInUse says which manifests a version names: that of its image, and the index in its reference where it is another.
func (n *Node) imagesInUse() func(digest string) bool {
	used := map[string]bool{}
	for _, v := range n.versions() {
		if v.Image != nil {
			_, named, _ := strings.Cut(v.Image.Reference, "@")
			used[v.Image.Digest], used[named] = true, true
		}
	}
	return func(digest string) bool { return used[digest] }
}

// layersInUse says which layers a version has.
func (n *Node) layersInUse() func(diffID string) bool {
	used := map[string]bool{}
	for _, v := range n.versions() {
		if v.Image == nil {
			continue
		}
		for _, l := range v.Image.Layers {
			used[l.DiffID] = true
		}
	}
	return func(diffID string) bool { return used[diffID] }
}
