package api

import "net/http"

// Private is a handler beside the API's own that asks for the same token.
func (a *API) Private(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !a.known(r) {
			a.refuse(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
}
