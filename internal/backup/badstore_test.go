package backup_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/dalamb/dalamb/internal/backup"
	"github.com/dalamb/dalamb/internal/fault"
)

// between puts a proxy before a store, whose answers bad may break.
func between(t *testing.T, at backup.Place, bad func(r *http.Request, w http.ResponseWriter, answer *httptest.ResponseRecorder) (broken bool)) backup.Place {
	t.Helper()
	to, err := url.Parse(at.Access.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to) // keeps the header Host, which is signed
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		proxy.ServeHTTP(answer, r)
		if bad(r, w, answer) {
			return
		}
		for key, values := range answer.Header() {
			w.Header()[key] = values
		}
		w.WriteHeader(answer.Code)
		w.Write(answer.Body.Bytes())
	}))
	t.Cleanup(s.Close)
	at.Access.Endpoint = s.URL
	return at
}

// TestAnswersThatAreLostAreMended: what the store did of which the answer never came, the lock among it, is not taken for somebody else's doing.
func TestAnswersThatAreLostAreMended(t *testing.T) {
	at, _ := inBucket(t)
	dir, log := data(t)
	var asked, lost atomic.Int32
	bad := between(t, at, func(r *http.Request, w http.ResponseWriter, _ *httptest.ResponseRecorder) bool {
		if n := asked.Add(1); r.Method == http.MethodGet || n%2 == 0 {
			return false
		}
		lost.Add(1)
		panic(http.ErrAbortHandler) // ends the connection
	})
	first := take(t, backup.Options{To: bad, Data: dir, Log: log})
	if lost.Load() < 5 {
		t.Errorf("%d answers were lost: too few to show anything", lost.Load())
	}
	if _, bad, err := backup.Verify(t.Context(), at, first.Manifest.ID); err != nil || len(bad) > 0 {
		t.Errorf("Verify = %v, %v", bad, err)
	}
}

// TestARestoreGoesOnWhereItsConnectionBroke: the answer ends early, again and again, but never at once.
func TestARestoreGoesOnWhereItsConnectionBroke(t *testing.T) {
	at, _ := inBucket(t)
	dir, log := data(t)
	text := strings.Repeat("none of it is lost\n", 100_000)
	write(t, filepath.Join(dir, "builds", "log", "long"), text)
	take(t, backup.Options{To: at, Data: dir, Log: log})
	var cut atomic.Int32
	bad := between(t, at, func(r *http.Request, w http.ResponseWriter, answer *httptest.ResponseRecorder) bool {
		if body := answer.Body.Bytes(); strings.Contains(r.URL.Path, "/content/") && len(body) > 20 {
			cut.Add(1)
			for key, values := range answer.Header() {
				w.Header()[key] = values
			}
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
			w.WriteHeader(answer.Code)
			w.Write(body[:len(body)/2])
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
		return false
	})
	if got := restoredFrom(t, bad, "")["builds/log/long"]; got != text {
		t.Errorf("%d bytes are restored, and not those that were stored", len(got))
	}
	if cut.Load() < 3 {
		t.Errorf("%d answers were cut: too few to show anything", cut.Load())
	}
	gone := between(t, at, func(r *http.Request, w http.ResponseWriter, _ *httptest.ResponseRecorder) bool {
		if strings.Contains(r.URL.Path, "/content/") {
			w.Header().Set("Content-Length", "100")
			w.WriteHeader(http.StatusOK)
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
		return false
	})
	above := t.TempDir()
	if _, err := backup.Restore(t.Context(), gone, "", filepath.Join(above, "data")); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("Restore from a store that breaks off for ever = %v", err)
	}
	if _, bad, err := backup.Verify(t.Context(), gone, ""); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("Verify of a store that breaks off for ever = %v, %v; want that nothing is called damaged", bad, err)
	}
	if left, err := os.ReadDir(above); err != nil || len(left) > 0 {
		t.Errorf("a restore that failed left %v, %v", left, err)
	}
}

// TestAPlaceThatWasTakenOverGetsNoList: whoever was frozen for longer than its lock counts has no backup, and touches nothing of the other's.
func TestAPlaceThatWasTakenOverGetsNoList(t *testing.T) {
	at, objects := inBucket(t)
	dir, log := data(t)
	o := backup.Options{To: at, Data: dir, Log: log}
	take(t, o)
	const other = `{"holder":"other","by":"another","renewed":1}`
	c, err := minio.New(strings.TrimPrefix(at.Access.Endpoint, "http://"), &minio.Options{Creds: credentials.NewEnvAWS(), Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	o.Now = func() time.Time { // when it has the place
		if _, err := c.PutObject(t.Context(), "backups", "of/shop/lock", strings.NewReader(other), int64(len(other)), minio.PutObjectOptions{}); err != nil {
			t.Error(err)
		}
		return time.Now()
	}
	if _, err := backup.Take(t.Context(), o); fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "taken s3://backups/of/shop over") {
		t.Errorf("Take = %v", err)
	}
	if list, err := backup.List(t.Context(), at); err != nil || len(list) != 1 {
		t.Errorf("List = %v, %v; want the first alone", list, err)
	}
	if text, err := os.ReadFile(filepath.Join(objects, "lock")); err != nil || string(text) != other {
		t.Errorf("the other's lock is now %s, %v", text, err)
	}
}
