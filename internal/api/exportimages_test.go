package api

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// packed are images of which each is sent as parts of so many bytes.
type packed struct {
	keptImages
	sizes   []int64
	within  time.Duration // until the deadline of what registries are asked; 0 = none
	fetched int
}

func (p *packed) Parts(ctx context.Context, _ *function.Image) (all []ImagePart, err error) {
	if until, ok := ctx.Deadline(); ok {
		p.within = time.Until(until)
	}
	for i, size := range p.sizes {
		all = append(all, ImagePart{Digest: "sha256:" + strings.Repeat(string(rune('a'+i)), 64), Bytes: size})
	}
	return all, nil
}

func (p *packed) Fetch(context.Context, *function.Image, ImagePart) error { p.fetched++; return io.EOF }

func (*packed) Open(string) (io.ReadCloser, error) { return nil, io.EOF }

func TestImagesArePackedForWhoMayOperateWithinTheNodesBounds(t *testing.T) {
	n := newNode(t)
	store := &packed{sizes: []int64{1, 2}}
	n.api.images = store
	s := spec(t, payManifest)
	image := &function.Image{Reference: "registry.example/pay:1", Digest: "sha256:" + strings.Repeat("0", 64)}
	_, err := n.catalog.Submit(t.Context(), catalog.Deploy{Version: function.Version{Digest: s.Digest("", "x"), Created: n.api.now(), Image: image, Spec: s}, Alias: function.LiveAlias})
	ok(t, err)
	first := keyed("e-1", "order.validated", "k")
	at := n.emit("events", first)
	n.ran(at[0], first, function.Run{
		ID: "run-1", State: function.RunSucceeded, Finished: time.Now().UTC(),
		Attempts: []function.Attempt{{Number: 1, Version: 1, ID: "attempt-1", Outcome: function.Succeeded, Start: time.Now().UTC()}},
	})

	viewer := n.tokenOf("viewer", wire.TokenCreate{Role: "viewer"})
	operator := n.tokenOf("operator", wire.TokenCreate{Role: "operator"})
	of := func(who, functions string) string {
		return n.tokenOf(who, wire.TokenCreate{Role: "operator", Functions: []string{functions}})
	}
	for _, c := range []struct {
		about, token, images string
		sizes                []int64
		status, fetched      int
		says                 string
	}{
		{"who only reads, without images", viewer, "", nil, http.StatusOK, 0, ""},
		{"who only reads", viewer, "&images=10", []int64{1, 2}, http.StatusForbidden, 0, "operate"},
		{"who operates others", of("others", "shop-*"), "&images=10", []int64{1, 2}, http.StatusForbidden, 0, "shop-*"},
		{"who operates it", of("pays", "pay"), "&images=10", []int64{1, 2}, http.StatusOK, 1, "registry.example/pay:1"},
		{"more than he asks for", operator, "&images=2", []int64{1, 2}, http.StatusRequestEntityTooLarge, 0, "--max-images"},
		{"more than the node gives", operator, "&images=8589934592", []int64{8 << 30, 1}, http.StatusRequestEntityTooLarge, 0, "8Gi"},
		{"sizes that run over", operator, "&images=8589934592", []int64{1 << 62, 1 << 62}, http.StatusRequestEntityTooLarge, 0, "8Gi"},
		{"sizes below nothing", operator, "&images=8589934592", []int64{5, -4}, http.StatusRequestEntityTooLarge, 0, "8Gi"},
		{"a bound beyond the node's", operator, "&images=8589934593", []int64{1}, http.StatusBadRequest, 0, "8589934592"},
	} {
		store.sizes, store.fetched = c.sizes, 0
		a := n.as(c.token, "GET", "/v1/bundle?id=e-1"+c.images, "")
		if a.status != c.status || store.fetched != c.fetched || !strings.Contains(a.body, c.says) {
			t.Errorf("%s: %d %.300q after %d parts, want %d, %d, and %s", c.about, a.status, a.body, store.fetched, c.status, c.fetched, c.says)
		}
	}
	if store.within == 0 || store.within > exportPulls {
		t.Errorf("registries are asked for %s, want %s at most", store.within, exportPulls)
	}
}
