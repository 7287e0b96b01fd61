package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// listImages puts what the registry has and what versions name together: an image that is both is one.
func (a *API) listImages(*http.Request, query) (any, error) {
	if a.images == nil {
		return nil, fault.New(fault.NotFound, "this node has no images")
	}
	list, err := a.images.Kept()
	if err != nil {
		return nil, err
	}
	at := map[string]int{}   // digest -> index in the list
	own := map[string]bool{} // repositories of the registry, which knows what their tags are at
	for i, img := range list.Images {
		for _, ref := range img.References {
			own[repositoryOf(ref)] = true
		}
		at[img.Digest] = i
		for _, digest := range img.Platforms {
			at[digest] = i
		}
	}
	for _, f := range a.catalog.View().Functions() {
		for _, v := range f.Versions {
			if v.Image == nil {
				continue
			}
			i, ok := at[v.Image.Digest]
			if !ok {
				i = len(list.Images)
				at[v.Image.Digest] = i
				list.Images = append(list.Images, wire.Image{Digest: v.Image.Digest, Bytes: sent(v.Image.Layers)})
			}
			img := &list.Images[i]
			name(img, v.Image, own)
			a.use(img, v)
		}
	}
	slices.SortFunc(list.Images, func(a, b wire.Image) int { return strings.Compare(a.References[0]+a.Digest, b.References[0]+b.Digest) })
	return list, nil
}

func (a *API) listPulls(*http.Request, query) (any, error) {
	list := wire.ImagePullList{Pulls: []wire.ImagePull{}}
	if p, ok := a.images.(Pulling); ok {
		list.Pulls = append(list.Pulls, p.Pulls()...)
	}
	return list, nil
}

// name notes what a version calls its image. That was so at its deploy: a tag of the registry's own may be at another image now, or gone.
func name(img *wire.Image, by *function.Image, own map[string]bool) {
	ref := by.Reference
	if repository := repositoryOf(ref); own[repository] {
		if img.Registry {
			return
		}
		ref = repository + "@" + by.Digest
	}
	if !slices.Contains(img.References, ref) {
		img.References = append(img.References, ref)
	}
}

// repositoryOf is a reference without its tag and its digest.
func repositoryOf(ref string) string {
	ref, _, _ = strings.Cut(ref, "@")
	if i := strings.LastIndexByte(ref, ':'); i > strings.LastIndexByte(ref, '/') {
		ref = ref[:i]
	}
	return ref
}

// use notes that a version runs in an image.
func (a *API) use(img *wire.Image, v *function.Version) {
	img.Unpacked, img.Error = a.images.Unpacked(v.Image), a.imageTrouble(v)
	if n := len(img.Functions); n > 0 && img.Functions[n-1].Function == v.Function() {
		img.Functions[n-1].Versions = append(img.Functions[n-1].Versions, v.Number)
		return
	}
	img.Functions = append(img.Functions, wire.ImageUser{Function: v.Function(), Versions: []int{v.Number}})
}

// sent is how many bytes layers have as they are sent.
func sent(layers []function.Layer) (sum int64) {
	for _, l := range layers {
		sum += l.Bytes
	}
	return sum
}
