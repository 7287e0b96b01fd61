package registry

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/dalamb/dalamb/internal/fault"
)

func (g *Registry) getCatalog(w http.ResponseWriter, r *http.Request, _ place) error {
	names, err := page(w, r, g.index.names())
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, struct {
		Repositories []string `json:"repositories"`
	}{names})
	return nil
}

func (g *Registry) getTags(w http.ResponseWriter, r *http.Request, at place) error {
	repo, err := g.index.get(at.name)
	if err != nil {
		return err
	}
	tags, err := page(w, r, slices.Sorted(maps.Keys(repo.Tags)))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, struct {
		Name string   `json:"name"`
		Tags []string `json:"tags"`
	}{at.name, tags})
	return nil
}

// page is the part of a sorted list that n and last ask for, and sets the Link to the next one: distribution-spec 1.1, "Listing
// Tags".
func page(w http.ResponseWriter, r *http.Request, all []string) ([]string, error) {
	q := r.URL.Query()
	n := maxPage
	if said := q.Get("n"); said != "" {
		var err error
		if n, err = strconv.Atoi(said); err != nil || n < 0 {
			return nil, refuse(codeUnsupported, fault.Invalid, "n=%.40q is not a number of rows", said)
		}
		n = min(n, maxPage)
	}
	if last := q.Get("last"); last != "" {
		at, found := slices.BinarySearch(all, last)
		if found {
			at++
		}
		all = all[at:]
	}
	if n == 0 || len(all) == 0 {
		return []string{}, nil
	}
	if len(all) > n {
		all = all[:n]
		q.Set("n", strconv.Itoa(n))
		linkNext(w, r, q, all[n-1])
	}
	return all, nil
}

// linkNext says where the page after the row last is.
func linkNext(w http.ResponseWriter, r *http.Request, q url.Values, last string) {
	q.Set("last", last)
	w.Header().Set("Link", "<"+r.URL.EscapedPath()+"?"+q.Encode()+`>; rel="next"`)
}
