package codeshare

import (
	"context"
	"time"

	"github.com/dalamb/dalamb/internal/chunk"
	"github.com/dalamb/dalamb/internal/function"
)

// Sweep removes from the log the code and the content of images that no version of used refers to, and returns how many chunks those were. It reads the whole
// topic, so it is for once in a while; that several nodes do it does no harm.
func (s *Store) Sweep(ctx context.Context, used []*function.Version) (int, error) {
	if !s.shared() {
		return 0, nil
	}
	kept := map[string]bool{}
	for _, v := range used {
		if v.Stored != nil {
			kept[v.Stored.ID] = true
		}
		if v.Image == nil {
			continue
		}
		for _, l := range v.Image.Layers {
			if l.Stored != nil {
				kept[l.Stored.ID] = true
			}
		}
	}
	return s.chunks.Sweep(ctx, chunk.Sweep{Before: time.Now().Add(-chunk.Grace), Kept: func(id string) bool { return kept[id] }})
}
