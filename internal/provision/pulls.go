package provision

import (
	"cmp"
	"slices"

	"github.com/dalamb/dalamb/internal/function"
)

// Pull is an image on its way here.
type Pull struct {
	Reference string
	Layers    int   // that were not here when it began
	Done      int   // of them that are
	Bytes     int64 // of those layers, as they are sent
	Came      int64 // of these bytes
}

// begin notes that an image's layers are on their way, until the pull is ended.
func (k *Keeper) begin(img *function.Image, missing []function.Layer) *Pull {
	p := &Pull{Reference: img.Reference, Layers: len(missing)}
	for _, l := range missing {
		p.Bytes += l.Bytes
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.pulls[p] = struct{}{}
	return p
}

func (k *Keeper) end(p *Pull) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.pulls, p)
}

// came notes that more bytes are here, and layers.
func (k *Keeper) came(p *Pull, bytes int64, layers int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p.Came = min(p.Came+bytes, p.Bytes) // what one registry did not give whole comes from the next again
	p.Done += layers
}

// Pulls are the images that are on their way here, by reference.
func (k *Keeper) Pulls() (all []Pull) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for p := range k.pulls {
		all = append(all, *p)
	}
	slices.SortFunc(all, func(a, b Pull) int { return cmp.Or(cmp.Compare(a.Reference, b.Reference), cmp.Compare(b.Came, a.Came)) })
	return all
}
