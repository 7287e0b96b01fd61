package api

import (
	"context"
	"reflect"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// keptImages has an index with two platforms and one image in its registry, and cannot run what is of registry.example.
type keptImages struct{}

func (keptImages) Prepare(context.Context, *function.Spec) (*function.Image, []function.Layer, error) {
	return nil, nil, fault.New(fault.Internal, "nothing is pulled here")
}

func (k keptImages) Bring(_ context.Context, img *function.Image) error { return k.Trouble(img) }

func (keptImages) Publish(context.Context, *function.Image) error { return nil }
func (keptImages) Unpacked(img *function.Image) int64             { return 10 * int64(len(img.Layers)) }

func (keptImages) Trouble(img *function.Image) error {
	if strings.HasPrefix(img.Reference, "registry.example/") {
		return fault.New(fault.Unavailable, "registry.example cannot be reached")
	}
	return nil
}

func (keptImages) Kept() (wire.ImageList, error) {
	return wire.ImageList{Layers: 3, Unpacked: 30, Content: 7, Images: []wire.Image{
		{Digest: "sha256:index", Platforms: []string{"sha256:amd", "sha256:arm"}, References: []string{"dalamb.internal/fn/pay:1"}, Registry: true, Bytes: 5},
		{Digest: "sha256:idle", References: []string{"dalamb.internal/fn/idle:1"}, Registry: true, Bytes: 2},
	}}, nil
}

// A tag is told where it is, not where a version found it once.
func TestImagesOfTheRegistryAndOfVersions(t *testing.T) {
	n := newNode(t)
	n.api.images = keptImages{}
	for _, v := range []struct {
		manifest, ref, digest string
	}{
		{strings.Replace(payManifest, "name: pay", "name: a", 1), "dalamb.internal/fn/pay:1", "sha256:amd"},
		{payManifest, "localhost:1/fn/pay:1", "sha256:amd"},
		{payManifest, "registry.example/pay:2", "sha256:far"},
		{payManifest, "dalamb.internal/fn/pay:1", "sha256:amd"},
		{payManifest, "dalamb.internal/fn/pay:1", "sha256:idle"},
		{payManifest, "dalamb.internal/fn/pay:1", "sha256:gone"},
	} {
		img := &function.Image{Reference: v.ref, Digest: v.digest, Layers: []function.Layer{{Bytes: 3}, {Bytes: 4}}}
		s := spec(t, v.manifest)
		version := function.Version{Digest: s.Digest("", v.digest+v.ref), Created: n.api.now(), Image: img, Spec: s}
		_, err := n.catalog.Submit(t.Context(), catalog.Deploy{Version: version, Alias: function.LiveAlias})
		ok(t, err)
	}
	got, err := n.client.Images(t.Context())
	ok(t, err)
	want := wire.ImageList{Layers: 3, Unpacked: 30, Content: 7, Images: []wire.Image{
		{
			Digest: "sha256:idle", References: []string{"dalamb.internal/fn/idle:1"}, Registry: true, Bytes: 2, Unpacked: 20,
			Functions: []wire.ImageUser{{Function: "pay", Versions: []int{4}}},
		},
		{
			Digest: "sha256:index", Platforms: []string{"sha256:amd", "sha256:arm"}, References: []string{"dalamb.internal/fn/pay:1", "localhost:1/fn/pay:1"},
			Registry: true, Bytes: 5, Unpacked: 20,
			Functions: []wire.ImageUser{{Function: "a", Versions: []int{1}}, {Function: "pay", Versions: []int{1, 3}}},
		},
		{
			Digest: "sha256:gone", References: []string{"dalamb.internal/fn/pay@sha256:gone"}, Bytes: 7, Unpacked: 20,
			Functions: []wire.ImageUser{{Function: "pay", Versions: []int{5}}},
		},
		{
			Digest: "sha256:far", References: []string{"registry.example/pay:2"}, Bytes: 7, Unpacked: 20,
			Functions: []wire.ImageUser{{Function: "pay", Versions: []int{2}}}, Error: "registry.example cannot be reached",
		},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Images = %+v\nwant %+v", got, want)
	}
}

func TestDryRunOfADeploySendsAndMakesNothing(t *testing.T) {
	n := newNode(t)
	code := "sha256:" + strings.Repeat("0", 64)
	for _, c := range []struct{ name, manifest, want string }{
		{"code that is not here yet", payManifest, ""},
		{"an image that the runner has not", "name: pay\nimage: ./pay.tar\nentry: {type: http}\n", `function "pay" wants the image ./pay.tar, and the runner native has no images`},
		{"no such topic", strings.Replace(payManifest, "topic: events,", "topic: evnts,", 1), `there is no topic "evnts"`},
	} {
		req := wire.DeployRequest{Spec: spec(t, c.manifest), DryRun: true}
		if req.Spec.Image == "" {
			req.Code = code
		}
		d, err := n.client.Deploy(t.Context(), req)
		if c.want == "" && (err != nil || d.Function != "pay" || d.Version != 0 || d.Created) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: Deploy = %+v, %v, want %q", c.name, d, err, c.want)
		}
	}
	if fs, err := n.client.Functions(t.Context()); err != nil || len(fs) != 0 {
		t.Errorf("Functions after dry runs = %+v, %v, want none", fs, err)
	}
}

func TestARollbackToAnImageThatIsGoneChangesNothing(t *testing.T) {
	n := newNode(t)
	n.api.images = keptImages{}
	for _, ref := range []string{"registry.example/pay:1", "dalamb.internal/fn/pay:2"} {
		s := spec(t, payManifest)
		version := function.Version{Digest: s.Digest("", ref), Created: n.api.now(), Image: &function.Image{Reference: ref, Digest: "sha256:" + ref}, Spec: s}
		_, err := n.catalog.Submit(t.Context(), catalog.Deploy{Version: version, Alias: function.LiveAlias})
		ok(t, err)
	}
	_, err := n.client.Rollback(t.Context(), "pay", wire.RollbackRequest{})
	if fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "version 1 of pay cannot be run any more, its image is gone: registry.example cannot be reached") {
		t.Errorf("Rollback = %v, want that the image is gone, and why", err)
	}
	aliases, err := n.client.Aliases(t.Context(), "pay")
	ok(t, err)
	if len(aliases.Aliases) != 1 || aliases.Aliases[0].Primary != 2 {
		t.Errorf("after it, aliases = %+v, want live on version 2", aliases)
	}
}

// movingImages has one image, under a tag that may move.
type movingImages struct {
	keptImages
	digest *string
}

func (m movingImages) Prepare(_ context.Context, spec *function.Spec) (*function.Image, []function.Layer, error) {
	return &function.Image{Reference: spec.ImageRef(), Digest: *m.digest}, nil, nil
}

func TestATagThatMovesAfterTheCheckIsRefused(t *testing.T) {
	n := newNode(t)
	digest := "sha256:first"
	n.script.images, n.api.images = true, movingImages{digest: &digest}
	req := wire.DeployRequest{Spec: spec(t, "name: web\nimage: registry.example/web:stable\nentry: {type: stdio}\n"), Alias: function.LiveAlias}
	found, errs := n.api.Check(t.Context(), []wire.DeployRequest{req})
	ok(t, fault.All(errs))
	dry, err := n.client.Release(t.Context(), wire.ReleaseRequest{DryRun: true, Images: true, Functions: []wire.DeployRequest{req}})
	ok(t, err)
	if found[0].Found() != digest || dry[0].Found() != digest {
		t.Fatalf("Check found %q and a dry run %q, want %q", found[0].Found(), dry[0].Found(), digest)
	}
	req.ImageDigest = digest
	digest = "sha256:second"
	_, err = n.client.Release(t.Context(), wire.ReleaseRequest{Functions: []wire.DeployRequest{req}})
	wantFault(t, "Release of a tag that has moved", err, fault.Conflict, "it was sha256:first, and is sha256:second", "do it again")
	if _, err := n.client.Function(t.Context(), "web"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("the function is there, %v, after a release that was refused", err)
	}
	req.ImageDigest = digest
	made, err := n.client.Release(t.Context(), wire.ReleaseRequest{Functions: []wire.DeployRequest{req}})
	if err != nil || made[0].Version != 1 || made[0].Found() != digest {
		t.Errorf("Release of what was checked = %+v, %v; want version 1", made, err)
	}
}
