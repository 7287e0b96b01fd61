package console

import (
	"encoding/json"
	"time"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
)

// maxTried bounds how much of a function's answer a page shows.
const maxTried = 64 << 10

// tried is a call that was made from a page, and what came of it.
type tried struct {
	Payload   string
	Qualifier string
	Problem   string // why there was no call
	Hint      string
	Run       string
	Version   int
	Error     string // "" = the function succeeded
	Answer    string
	Took      time.Duration
	Later     bool
}

// try calls a function with what the form has, by the rights of the visitor's token.
func (c *Console) try(v *visit) (frame, error) {
	t := &tried{Payload: v.r.PostFormValue("payload"), Qualifier: v.query("qualifier"), Later: v.query("later") != ""}
	if t.Payload == "" {
		t.Payload = "{}"
	}
	if !json.Valid([]byte(t.Payload)) {
		t.Problem, t.Hint = "the payload is no JSON", "quote names and texts: {\"order\": \"o-1\"}"
		return c.functionPage(v, t)
	}
	begun := c.now()
	done, err := v.Client.Invoke(v.r.Context(), client.Invocation{
		Function: v.r.PathValue("function"), Qualifier: t.Qualifier, Payload: []byte(t.Payload), Later: t.Later,
	})
	if fault.KindOf(err) == fault.Unauthenticated {
		return frame{}, err
	}
	if err != nil {
		t.Problem, t.Hint = err.Error(), fault.HintOf(err)
		return c.functionPage(v, t)
	}
	t.Took = c.now().Sub(begun)
	t.Run, t.Version, t.Error = done.RequestID, done.Version, done.Error
	t.Answer = string(done.Payload[:min(len(done.Payload), maxTried)])
	if json.Valid(done.Payload) && len(done.Payload) <= maxTried {
		t.Answer = pretty(done.Payload)
	}
	return c.functionPage(v, t)
}
