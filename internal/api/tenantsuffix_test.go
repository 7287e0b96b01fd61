package api

import (
	"testing"

	"github.com/dalamb/dalamb/internal/wire"
)

// A tenant whose environment's name ends others' (beta) is told no more of those than of what is not there (zeta, whose name it ends, too).
func TestATenantWhoseNameEndsAnothersIsToldNothingOfThat(t *testing.T) {
	n, code := aviary(t)
	fill, sent, open := fills(code), bodies(t, code), tenancies()
	token := n.tokenOf("eta", wire.TokenCreate{Role: "admin", Environment: "eta"})
	for _, rt := range n.api.routes() {
		if _, answers := open[rt.Name]; !answers {
			continue
		}
		given := sent[rt.Name]
		if given == nil {
			given = []string{""}
		}
		for _, path := range paths(rt.Path, fill) {
			for _, q := range queries(&rt) {
				for _, body := range given {
					if mute(path+q+body) == path+q+body {
						continue
					}
					there, absent := n.as(token, rt.Method, path+q, body), n.as(token, rt.Method, mute(path+q), mute(body))
					if absent.status != there.status || absent.body != mute(there.body) {
						t.Errorf("%s: %s %s%s %.150s = %d %s, and of what is not there %d %s", rt.Name, rt.Method, path, q, body, there.status, there.body, absent.status, absent.body)
					}
				}
			}
		}
	}
}
