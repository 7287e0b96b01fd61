package gateway

import (
	"context"
	"io"
	"net/http"
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

func TestAStreamByHTTP2MayBeQuiet(t *testing.T) {
	const patience = 300 * time.Millisecond
	n := start(t, script(func(_ context.Context, c fleet.Call) (*function.Result, error) {
		to := c.Invocation.Responder
		to.(function.Informer).Inform(103, http.Header{"Link": {"</a.css>"}})
		<-time.After(patience + patience/4)
		w, err := to.Respond(function.Head{Status: 200, Length: -1, Header: http.Header{"Content-Type": {"text/event-stream"}}})
		for range 2 {
			if err != nil {
				return nil, err
			}
			<-time.After(2*patience + patience/4) // a head has twice the time
			_, err = io.WriteString(w, "data: x\n\n")
		}
		return &function.Result{Outcome: function.Succeeded, Status: 200, Version: 1}, err
	}), func(o *Options) { o.BodyTimeout = patience })
	n.deploy("feed", route("web", "GET", "/feed"))
	client, _ := http2(t)
	resp, err := client.Get(n.url + "/feed")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err != nil || resp.ProtoMajor != 2 || string(text) != "data: x\n\ndata: x\n\n" {
		t.Errorf("the stream is %q, %v", text, err)
	}
}
