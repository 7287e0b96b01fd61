package console

import (
	"fmt"

	"github.com/dalamb/dalamb/internal/wire"
)

// replay is one replay and its report.
func (c *Console) replay(v *visit) (frame, error) {
	r, err := v.Client.Replay(v.r.Context(), v.r.PathValue("replay"))
	if err != nil {
		return frame{}, err
	}
	return frame{Page: "replay", Title: "Replay " + r.Name, Nav: "settings", Live: r.State == wire.ReplayRunning, Body: r}, nil
}

func askCancelReplay(v *visit) (question, error) {
	r, err := v.Client.Replay(v.r.Context(), v.query("replay"))
	if err != nil {
		return question{}, err
	}
	return question{
		Title: fmt.Sprintf("End the replay %s?", r.Name), Text: "What is not run yet is not run. Its report stays.", Button: "End the replay", Danger: true,
		Fields: carried(v, "replay"), Back: href("replays", r.Name),
	}, nil
}

func cancelReplay(v *visit) (done, error) {
	r, err := v.CancelReplay(v.r.Context(), v.query("replay"))
	return done{fmt.Sprintf("The replay %s is %s.", r.Name, r.State), href("replays", v.query("replay"))}, err
}
