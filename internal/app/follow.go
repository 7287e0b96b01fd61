package app

import (
	"path/filepath"

	"github.com/dalamb/dalamb/internal/deliver/follow"
	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/image/pull"
	"github.com/dalamb/dalamb/internal/image/registry"
)

// openFollow opens what acts upon pushed images.
func (n *Node) openFollow() (err error) {
	n.follower, err = follow.Open(follow.Options{
		Dir: filepath.Join(n.config.Data, "images", "pushes"), Log: n.log, Catalog: n.catalog, Images: n.puller, Deployer: n.api, Logger: n.logger,
	})
	return err
}

// pushed tells of a push to the node's own registry.
func (n *Node) pushed(p registry.Push) error {
	return n.follower.Pushed(event.NewID(), function.ImagePushed{
		Registry: pull.OwnHost, Repository: p.Repository, Tag: p.Tag, Digest: p.Digest, MediaType: p.MediaType, Bytes: p.Size, Pusher: p.Pusher,
	})
}

// followed shows the follower, which is opened after the API, to it.
type followed struct{ n *Node }

func (f followed) Trouble(fn, alias string) error { return f.n.follower.Trouble(fn, alias) }
