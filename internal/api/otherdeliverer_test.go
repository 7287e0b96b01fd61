package api

import (
	"slices"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

func TestADeployThatMovesWhatAnotherMovedIsTold(t *testing.T) {
	n := newNode(t)
	id := strings.Repeat("ab", 20)
	shop := &function.Origin{Kind: function.OriginGit, Repository: "shop", Commit: id, Branch: "main"}
	hotfix := &function.Origin{Kind: function.OriginGit, Repository: "shop", Commit: id, Branch: "hotfix"}
	other := &function.Origin{Kind: function.OriginGit, Repository: "other", Commit: id, Branch: "main"}
	hook := &function.Origin{Kind: function.OriginWebhook, Repository: "git.example/acme/shop", Commit: id, Branch: "main"}
	image := &function.Origin{Kind: function.OriginImage, Repository: "fn/pay"}
	for i, c := range []struct {
		line string // of the manifest
		by   *function.Origin
		want string // the warning speaks of it; "" = there is none
	}{
		{"timeout: 1s", shop, ""},
		{"timeout: 2s", hotfix, ""},
		{"timeout: 2s", other, ""}, // it moves nothing
		{"timeout: 1s", other, "alias live of pay was last moved by repository shop (commit abababababab); the next delivery from there moves it again"},
		{"timeout: 3s", other, ""},
		{"timeout: 4s", image, ""},
		{"timeout: 5s", shop, "by repository other (commit"},
		{"timeout: 6s", hook, "by repository shop (commit"},
		{"timeout: 7s", nil, "by the webhook of git.example/acme/shop (commit"},
		{"timeout: 8s", nil, ""},
		{"timeout: 7s\nrollout: {strategy: canary}", shop, "by dalamb deploy, or another client of the API; the next"},
	} {
		req := n.request("pay", c.line)
		req.Origin = c.by
		done, err := n.api.Release(t.Context(), []wire.DeployRequest{req})
		ok(t, err)
		told := slices.DeleteFunc(done[0].Warnings, func(w string) bool { return !strings.Contains(w, "was last moved") })
		if text := strings.Join(told, "\n"); len(told) > 1 || (text == "") != (c.want == "") || !strings.Contains(text, c.want) {
			t.Errorf("%d, %s: the warnings are %q, want %q", i, c.line, told, c.want)
		}
	}
}
