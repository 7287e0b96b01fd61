package gateway

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/fleet"
	"github.com/dalamb/dalamb/internal/function"
)

func TestAnAnswerByHTTP2MayTakeLongerThanABody(t *testing.T) {
	const patience = 500 * time.Millisecond
	n := start(t, taking(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		if _, err := io.Copy(io.Discard, c.Invocation.Request.Body); err != nil {
			return nil, err
		}
		<-time.After(patience + patience/4) // the time of the body is over
		return &function.Result{Outcome: function.Succeeded, Status: 200, Body: []byte("at last"), Version: 1}, nil
	}), func(o *Options) { o.BodyTimeout, o.Limits.Request = patience, 8 })
	n.deploy("page", route("web", "POST", "/page"))
	client, _ := http2(t)
	for _, body := range []string{"body", "one that is passed on"} {
		resp, err := client.Post(n.url+"/page", "text/plain", strings.NewReader(body))
		if err != nil {
			t.Errorf("POST %q: %v", body, err)
			continue
		}
		if text, err := io.ReadAll(resp.Body); err != nil || resp.ProtoMajor != 2 || string(text) != "at last" {
			t.Errorf("the answer to %q is %s %q, %v", body, resp.Status, text, err)
		}
		resp.Body.Close()
	}
}
