package gateway

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
)

// authorize wants the node's token as `Authorization: Bearer TOKEN`. A token in the URL is not taken: URLs end up in logs.
// Hashes are compared, so the time that it takes tells nothing, not even the token's length.
func (g *Gateway) authorize(r *http.Request) error {
	values := r.Header["Authorization"]
	if len(values) == 0 {
		return fault.New(fault.Unauthenticated, "the request carries no token").
			WithHint("send it as Authorization: Bearer TOKEN; the token is in the file that `dalamb up` names at its start")
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	got := sha256.Sum256([]byte(strings.TrimSpace(token)))
	right := subtle.ConstantTimeCompare(got[:], g.token[:]) == 1
	if len(values) != 1 || !strings.EqualFold(scheme, "Bearer") || !right {
		return fault.New(fault.Unauthenticated, "the token is not this node's").
			WithHint("send Authorization: Bearer TOKEN; the token is in the file that `dalamb up` names at its start")
	}
	return nil
}
