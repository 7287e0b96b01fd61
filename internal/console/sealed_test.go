package console

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// What is for one environment, what is sealed and what was forgotten is said where people look.
func TestPagesSayWhatIsBoundedSealedAndForgotten(t *testing.T) {
	sealed := wire.Topic{Name: "orders", Rules: function.TopicRules{Seal: true}}
	acme := wire.TokenInfo{Name: "x", Role: "admin", Environment: "acme"}
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var answer any = struct{}{}
		switch r.URL.Path {
		case "/v1/tokens":
			answer = wire.TokenList{Tokens: []wire.TokenInfo{acme}, AccessKeys: []wire.AccessKey{{TokenInfo: acme, ID: "AK"}}}
		case "/v1/topics":
			answer = wire.TopicList{Topics: []wire.Topic{sealed}}
		case "/v1/topics/orders":
			answer = sealed
		case "/v1/events/orders/0/1":
			answer = wire.EventAt{Topic: "orders", Offset: 1, Event: json.RawMessage(`{"id":"o","type":"t","dalambsealed":"forgotten"}`)}
		case "/v1/events/orders/0/2":
			answer = wire.EventAt{Topic: "orders", Offset: 2, Event: json.RawMessage(`{"id":"o","type":"t"}`)}
		}
		_ = json.NewEncoder(w).Encode(answer)
	})
	v := signedIn(t, api)
	for _, c := range []struct {
		path, says string
		times      int
	}{
		{"/settings", "acme.* <span class=\"dim\">sees environment acme alone</span>", 2},
		{"/settings", "<td>sealed</td>", 1},
		{"/topics/orders", "<dt>Sealed</dt>", 1},
		{"/events/orders/0/1", "Its data was forgotten", 1},
		{"/events/orders/0/2", "Its data", 0},
	} {
		if n := strings.Count(v.get(c.path).Body.String(), c.says); n != c.times {
			t.Errorf("%s says %q %d times, want %d", c.path, c.says, n, c.times)
		}
	}
}
