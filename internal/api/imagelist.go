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
	at := map[string]int{} // digest -> index in the list
	for i, img := range list.Images {
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
			a.use(&list.Images[i], v)
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

// use notes that a version runs in an image.
func (a *API) use(img *wire.Image, v *function.Version) {
	if !slices.Contains(img.References, v.Image.Reference) {
		img.References = append(img.References, v.Image.Reference)
	}
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
