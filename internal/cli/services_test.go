package cli

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/function"
)

func TestHeartbeatsGoOnBehindOnesThatTheNodeCannotTakeNow(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	answers := []int{http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusGatewayTimeout, http.StatusOK}
	beats, gone := 0, 0 // requests come one after the other
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete {
			gone++
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.WriteHeader(answers[beats])
		fmt.Fprint(w, "{}")
		if beats++; beats == len(answers) {
			stop()
		}
	}))
	defer s.Close()
	node, err := client.New(client.Options{Address: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	r := function.Registration{Service: "web", Instance: "a", Address: "h:1", TTL: function.Duration(3 * time.Millisecond)}
	if err := keepRegistered(ctx, node, r, &said); err != nil {
		t.Errorf("keepRegistered = %v, want it to go on", err)
	}
	s.Close()
	if said := strings.Count(said.String(), "heartbeat: "); beats != len(answers) || said != 3 || gone != 1 {
		t.Errorf("%d heartbeats, %d of them failed, taken away %d times; want 4, 3, 1", beats, said, gone)
	}
}
