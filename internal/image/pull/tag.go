package pull

import (
	"context"

	"github.com/google/go-containerregistry/pkg/name"
)

// Tag is what a reference by tag names, spelled one way however it was written.
type Tag struct {
	Own        bool // in the node's own registry
	Repository string
	Tag        string
}

// Tag reads a reference; ok is false for one by digest and for what is none.
func (p *Puller) Tag(ref string) (tag Tag, ok bool) {
	at, err := p.locate(ref)
	if err != nil {
		return Tag{}, false
	}
	t, ok := at.Reference.(name.Tag)
	if !ok {
		return Tag{}, false
	}
	return Tag{Own: at.own, Repository: t.RepositoryStr(), Tag: t.TagStr()}, true
}

// Digest is that of the image for this machine's platform which a reference names now. Of its content only manifests are brought.
func (p *Puller) Digest(ctx context.Context, ref string) (string, error) {
	at, err := p.locate(ref)
	if err != nil {
		return "", err
	}
	_, digest, err := p.platform(ctx, at, ref)
	return digest, err
}
