package backup

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/need"
)

// TestARemovalEndsBeforeThePlaceCanBeAnothers: a store that hangs would do it when another has counted what is there.
func TestARemovalEndsBeforeThePlaceCanBeAnothers(t *testing.T) {
	s := need.Buckets(t)
	s.Bucket(t, "backups")
	t.Setenv("AWS_ACCESS_KEY_ID", s.Key)
	t.Setenv("AWS_SECRET_ACCESS_KEY", s.Secret)
	to, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	store := httputil.NewSingleHostReverseProxy(to)
	hangs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete {
			<-r.Context().Done()
			return
		}
		store.ServeHTTP(w, r)
	}))
	defer hangs.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	b, err := openBucket(ctx, Place{Name: "s3://backups", Access: Access{Endpoint: hangs.URL, FromEnv: true, NoInstance: true}})
	if err != nil {
		t.Fatal(err)
	}
	b.lease = 2 * time.Second
	held, w, err := b.begin(ctx, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.remove(held, contentDir+"/ab/abcd"); fault.KindOf(err) != fault.Unavailable || ctx.Err() != nil {
		t.Errorf("remove at a store that hangs = %v, and the test's time: %v; want that it is given up within a second", err, ctx.Err())
	}
	if err := w.close(context.WithoutCancel(ctx)); err != nil {
		t.Error(err)
	}
}
