package api

import (
	"net/http"

	"github.com/dalamb/dalamb/internal/fault"
)

// checkpoint is POST /v1/checkpoints. The checkpoint lives as long as the answer: however the client ends, nothing is left of it.
func (a *API) checkpoint(w http.ResponseWriter, r *http.Request, _ query) error {
	if a.still == nil {
		return fault.New(fault.Unavailable, "this node takes no checkpoints")
	}
	made, release, err := a.still(r.Context())
	if err != nil {
		return err
	}
	defer release()
	out := a.newLines(r.Context(), w)
	if err := out.write(made); err != nil {
		return nil // the client is gone
	}
	if err := out.flush(); err != nil {
		return nil
	}
	select {
	case <-a.ending:
		return out.end(fault.New(fault.Unavailable, "the node is stopping").WithHint("do it again when it has stopped, or is back"))
	case <-r.Context().Done():
		if err := ended(r.Context()); err != nil {
			return out.end(err)
		}
		return nil
	}
}
