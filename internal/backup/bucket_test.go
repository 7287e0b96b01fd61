package backup_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/dalamb/dalamb/internal/backup"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/need"
)

// inBucket is a place in a bucket of a real store, and where its objects are as files.
func inBucket(t *testing.T) (at backup.Place, objects string) {
	t.Helper()
	s := need.Buckets(t)
	s.Bucket(t, "backups")
	t.Setenv("AWS_ACCESS_KEY_ID", s.Key)
	t.Setenv("AWS_SECRET_ACCESS_KEY", s.Secret)
	return backup.Place{Name: "s3://backups/of/shop", Access: backup.Access{Endpoint: s.URL, FromEnv: true, NoInstance: true}}, filepath.Join(s.Dir, "backups", "of", "shop")
}

// contents are the names and the times of the objects with content.
func contents(t *testing.T, objects string) map[string]time.Time {
	t.Helper()
	all := map[string]time.Time{}
	err := filepath.WalkDir(filepath.Join(objects, "content"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		all[e.Name()] = info.ModTime()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestABucketIsAPlaceLikeADirectory: the same names, one after another, kept and removed.
func TestABucketIsAPlaceLikeADirectory(t *testing.T) {
	at, objects := inBucket(t)
	dir, log := data(t)
	o := backup.Options{To: at, Data: dir, Log: log, Key: filepath.Join(dir, "secret.key"), Now: func() time.Time { return time.Now().Add(time.Hour) }}
	if _, err := backup.List(t.Context(), at); fault.KindOf(err) != fault.NotFound {
		t.Errorf("List of an empty bucket = %v", err)
	}
	first := take(t, o)
	before := contents(t, objects)
	beside := filepath.Join(t.TempDir(), "backups")
	take(t, backup.Options{To: backup.Place{Name: beside}, Data: dir, Log: log, Key: o.Key})
	if got, want := before, contents(t, beside); len(got) != len(want) {
		t.Errorf("%d contents in the bucket, %d in a directory", len(got), len(want))
	}
	if got := restoredFrom(t, at, ""); got["log/db/1.sst"] != "records" || got["secret.key"] != "a key\n" || got["code/sha256/ab/main.sh"] != "echo hello" {
		t.Errorf("restored %q", got)
	}
	if err := os.Chtimes(filepath.Join(log, "db", "1.sst"), time.Now(), time.Now()); err != nil { // it has to be read again
		t.Fatal(err)
	}
	if again := take(t, o); again.New != 0 || again.Manifest.ID <= first.Manifest.ID {
		t.Errorf("a second backup of the same adds %d bytes, id %s after %s", again.New, again.Manifest.ID, first.Manifest.ID)
	}
	for name, written := range contents(t, objects) {
		if !written.Equal(before[name]) {
			t.Errorf("%s was written again", name)
		}
	}
	write(t, filepath.Join(log, "db", "2.sst"), strings.Repeat("more", 1000))
	if err := os.Remove(filepath.Join(log, "db", "1.sst")); err != nil {
		t.Fatal(err)
	}
	third := take(t, o)
	if third.New == 0 || third.New > 1000 {
		t.Errorf("a new file adds %d bytes", third.New)
	}
	if got := restoredFrom(t, at, first.Manifest.ID); got["log/db/1.sst"] != "records" || got["log/db/2.sst"] != "" {
		t.Errorf("the first backup has %q", got)
	}
	removed, err := backup.Keep(t.Context(), at, 1)
	if err != nil || len(removed) != 2 {
		t.Fatalf("Keep = %q, %v", removed, err)
	}
	if n, bad, err := backup.Verify(t.Context(), at, ""); n != 1 || err != nil || len(bad) > 0 {
		t.Errorf("Verify = %d, %v, %v", n, bad, err)
	}
	if left := contents(t, objects); len(left) != len(before) { // 2.sst's came, and 1.sst's is no longer there
		t.Errorf("%d contents are kept, want %d", len(left), len(before))
	}
	if list, err := backup.List(t.Context(), at); err != nil || len(list) != 1 || list[0].ID != third.Manifest.ID {
		t.Errorf("List = %v, %v", list, err)
	}
}

// TestLongContentGoesInParts: incompressible, so that it is longer than what is kept in memory.
func TestLongContentGoesInParts(t *testing.T) {
	at, objects := inBucket(t)
	dir, log := data(t)
	long := make([]byte, 40<<20)
	rand.Read(long)
	write(t, filepath.Join(dir, "images", "content", "long"), string(long))
	o := backup.Options{To: at, Data: dir, Log: log}
	if first := take(t, o); first.New < 40<<20 {
		t.Errorf("%d bytes were added", first.New)
	}
	if again := take(t, o); again.New != 0 {
		t.Errorf("the next backup adds %d bytes", again.New)
	}
	if got := restoredFrom(t, at, "")["images/content/long"]; got != string(long) {
		t.Errorf("%d bytes are restored, and not those that were stored", len(got))
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(filepath.Dir(objects)), ".sgwtmp", "multipart", "*")); err != nil || len(left) > 0 {
		t.Errorf("of the upload there is left %q, %v", left, err)
	}
}

// TestDamageInABucketIsFound, and named, and not restored.
func TestDamageInABucketIsFound(t *testing.T) {
	at, objects := inBucket(t)
	dir, log := data(t)
	taken := take(t, backup.Options{To: at, Data: dir, Log: log})
	var digest string
	for _, f := range taken.Manifest.Files {
		if f.Path == "log/db/1.sst" {
			digest = f.Digest
		}
	}
	flip(t, filepath.Join(objects, "content", digest[:2], digest))
	_, bad, err := backup.Verify(t.Context(), at, "")
	if err != nil || len(bad) != 1 || bad[0].Path != "log/db/1.sst" || !strings.Contains(bad[0].Err.Error(), digest) {
		t.Errorf("Verify = %v, %v, want one damage", bad, err)
	}
	above := t.TempDir()
	if _, err := backup.Restore(t.Context(), at, "", filepath.Join(above, "data")); fault.KindOf(err) != fault.Invalid {
		t.Errorf("Restore = %v, want a refusal", err)
	}
	if left, err := os.ReadDir(above); err != nil || len(left) > 0 {
		t.Errorf("a refused restore left %v, %v", left, err)
	}
}

// TestWhatIsWrongWithABucketIsSaid, soon, and with the next step.
func TestWhatIsWrongWithABucketIsSaid(t *testing.T) {
	at, objects := inBucket(t)
	dir, log := data(t)
	if err := os.MkdirAll(filepath.Join(filepath.Dir(objects), "others"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(filepath.Dir(objects), "others", "file"), "x")
	keys := filepath.Join(t.TempDir(), "keys")
	const secret = "never-to-be-shown"
	write(t, keys, "[default]\naws_access_key_id = test\naws_secret_access_key = "+secret+"\n")
	broken := filepath.Join(t.TempDir(), "keys")
	write(t, broken, "[default]\naws_access_key_id = test\naws_secret_access_key "+secret+"\n")
	readable := filepath.Join(t.TempDir(), "keys")
	write(t, readable, "")
	if err := os.Chmod(readable, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		what, want, hint string
		kind             fault.Kind
		change           func(*backup.Place)
	}{
		{"no such bucket", "there is no bucket others at " + at.Access.Endpoint, "--endpoint", fault.NotFound, func(p *backup.Place) { p.Name = "s3://others/x" }},
		{"a name that is none", `"Back_Ups" is no name`, "s3://BUCKET/PREFIX", fault.Invalid, func(p *backup.Place) { p.Name = "s3://Back_Ups/x" }},
		{"a way out", "is no prefix", "s3://BUCKET/PREFIX", fault.Invalid, func(p *backup.Place) { p.Name = "s3://backups/../x" }},
		{"others' objects", "holds something, and no backups", "another prefix", fault.Conflict, func(p *backup.Place) { p.Name = "s3://backups/of/others" }},
		{"a wrong secret", "does not take the secret key", "check the keys", fault.Denied, func(p *backup.Place) { p.Access.Credentials, p.Access.Profile = keys, "default" }},
		{"a broken file of keys", "no access key with its secret key can be read there", "AWS_ACCESS_KEY_ID", fault.Invalid, func(p *backup.Place) { p.Access.Credentials = broken }},
		{"a profile that is not there", "no access key with its secret key can be read there", "AWS_PROFILE", fault.Invalid, func(p *backup.Place) { p.Access.Credentials, p.Access.Profile = keys, "other" }},
		{"keys that others may read", "others than its owner and its group", "chmod 600", fault.Denied, func(p *backup.Place) { p.Access.Credentials = readable }},
		{"no keys", "there are no keys", "AWS_ACCESS_KEY_ID", fault.Invalid, func(p *backup.Place) { p.Access.FromEnv, p.Access.Profile = false, "nobody" }},
		{"nobody there", "http://127.0.0.1:1 does not answer", "check --endpoint", fault.Unavailable, func(p *backup.Place) { p.Access.Endpoint = "http://127.0.0.1:1" }},
		{"no TLS", "does not answer", "speaks no TLS", fault.Unavailable, func(p *backup.Place) { p.Access.Endpoint = strings.Replace(p.Access.Endpoint, "http:", "https:", 1) }},
		{"a key in the endpoint", "the endpoint is no URL", "keys are no part of it", fault.Invalid, func(p *backup.Place) { p.Access.Endpoint = "https://key:" + secret + "@127.0.0.1" }},
		{"another region", "region", "--region", fault.Invalid, func(p *backup.Place) { p.Access.Region = "eu-central-1" }},
	} {
		t.Run(test.what, func(t *testing.T) {
			other := at
			test.change(&other)
			began := time.Now()
			_, err := backup.Take(t.Context(), backup.Options{To: other, Data: dir, Log: log})
			if err == nil || fault.KindOf(err) != test.kind || !strings.Contains(err.Error(), test.want) || !strings.Contains(fault.HintOf(err), test.hint) {
				t.Errorf("Take = %v (%v), hint %q; want %q, hint with %q", err, fault.KindOf(err), fault.HintOf(err), test.want, test.hint)
			}
			if err != nil && strings.Contains(err.Error()+fault.HintOf(err), secret) {
				t.Error("the secret is shown")
			}
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// TestAnAuthorityOfOnesOwnIsBelieved, and nobody else's.
func TestAnAuthorityOfOnesOwnIsBelieved(t *testing.T) {
	at, _ := inBucket(t)
	to, err := url.Parse(at.Access.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewTLSServer(httputil.NewSingleHostReverseProxy(to))
	defer s.Close()
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // of who does not believe it
	at.Access.Endpoint = s.URL
	if _, err := backup.List(t.Context(), at); fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.HintOf(err), "AWS_CA_BUNDLE") {
		t.Errorf("List by a certificate of nobody's = %v, hint %q", err, fault.HintOf(err))
	}
	at.Access.Authority = filepath.Join(t.TempDir(), "ca.pem")
	write(t, at.Access.Authority, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})))
	dir, log := data(t)
	take(t, backup.Options{To: at, Data: dir, Log: log})
	if n, bad, err := backup.Verify(t.Context(), at, ""); n != 1 || err != nil || len(bad) > 0 {
		t.Errorf("Verify = %d, %v, %v", n, bad, err)
	}
}

// TestTheRightsOfTheManualAreEnough: its policy, for a user who may do nothing else; and who may only read is told what is missing.
func TestTheRightsOfTheManualAreEnough(t *testing.T) {
	s := need.Buckets(t)
	s.Bucket(t, "shop-backups")
	page, err := os.ReadFile("../../docs/backup.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(page), "```json\n")
	text, _, _ = strings.Cut(text, "```")
	var policy struct {
		Version   string
		Statement []map[string]any
	}
	if err := json.Unmarshal([]byte(text), &policy); err != nil || len(policy.Statement) != 2 {
		t.Fatalf("the policy of docs/backup.md: %v, %d statements", err, len(policy.Statement))
	}
	admin, err := minio.New(strings.TrimPrefix(s.URL, "http://"), &minio.Options{Creds: credentials.NewStaticV4(s.Key, s.Secret, ""), Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	allow := func() {
		t.Helper()
		text, err := json.Marshal(policy)
		if err == nil {
			err = admin.SetBucketPolicy(t.Context(), "shop-backups", string(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, statement := range policy.Statement {
		statement["Principal"] = map[string]any{"AWS": []string{"copier"}}
	}
	at := backup.Place{Name: "s3://shop-backups/node-1", Access: backup.Access{Endpoint: s.URL, FromEnv: true}}
	t.Setenv("AWS_ACCESS_KEY_ID", "copier")
	t.Setenv("AWS_SECRET_ACCESS_KEY", s.User(t, "copier"))
	dir, log := data(t)
	o := backup.Options{To: at, Data: dir, Log: log}
	if _, err := backup.Take(t.Context(), o); fault.KindOf(err) != fault.Denied {
		t.Errorf("Take without any right = %v", err)
	}
	allow()
	take(t, o)
	long := make([]byte, 20<<20) // goes in parts
	rand.Read(long)
	write(t, filepath.Join(dir, "images", "content", "long"), string(long))
	take(t, o)
	if removed, err := backup.Keep(t.Context(), at, 1); err != nil || len(removed) != 1 {
		t.Errorf("Keep = %v, %v", removed, err)
	}
	policy.Statement[0]["Action"] = []string{"s3:ListBucket"}
	policy.Statement[1]["Action"] = []string{"s3:GetObject"}
	allow()
	if n, bad, err := backup.Verify(t.Context(), at, ""); n != 1 || err != nil || len(bad) > 0 {
		t.Errorf("Verify by who may read = %d, %v, %v", n, bad, err)
	}
	if got := restoredFrom(t, at, ""); got["token"] != "a token\n" {
		t.Errorf("restored %v", got)
	}
	_, err = backup.Take(t.Context(), o)
	if fault.KindOf(err) != fault.Denied || !strings.Contains(err.Error(), "do not allow to write FORMAT in s3://shop-backups/node-1") || !strings.Contains(fault.HintOf(err), "docs/backup.md") {
		t.Errorf("Take by who may read = %v, hint %q", err, fault.HintOf(err))
	}
}

// TestAKilledBackupBlocksNobodyForLong: its lock is taken over when nobody has renewed it for a while, and not before; what it left half is gone then.
func TestAKilledBackupBlocksNobodyForLong(t *testing.T) {
	at, objects := inBucket(t)
	dir, log := data(t)
	o := backup.Options{To: at, Data: dir, Log: log}
	take(t, o)
	lock := filepath.Join(objects, "lock")
	write(t, lock, `{"holder":"killed","by":"root at elsewhere, process 7","renewed":3}`)
	if _, err := backup.Take(t.Context(), o); fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "root at elsewhere, process 7") {
		t.Errorf("Take while another holds the lock = %v", err)
	}
	if _, err := backup.Keep(t.Context(), at, 1); fault.KindOf(err) != fault.Conflict {
		t.Errorf("Keep while another holds the lock = %v", err)
	}
	if list, err := backup.List(t.Context(), at); err != nil || len(list) != 1 {
		t.Errorf("List while another holds the lock = %v, %v", list, err)
	}
	store, err := minio.NewCore(strings.TrimPrefix(at.Access.Endpoint, "http://"), &minio.Options{Creds: credentials.NewEnvAWS(), Region: "us-east-1"})
	if err == nil {
		_, err = store.NewMultipartUpload(t.Context(), "backups", "of/shop/content/ab/abcd", minio.PutObjectOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-2 * time.Minute)
	if err := os.Chtimes(lock, old, old); err != nil {
		t.Fatal(err)
	}
	take(t, o)
	var left struct{ Holder string }
	text, err := os.ReadFile(lock)
	if err != nil || json.Unmarshal(text, &left) != nil || left.Holder != "" {
		t.Errorf("the lock afterwards says %s, %v; want that it is free", text, err)
	}
	if half, err := store.ListMultipartUploads(t.Context(), "backups", "of/shop/", "", "", "", 10); err != nil || len(half.Uploads) > 0 {
		t.Errorf("of interrupted uploads there are left %v, %v", half.Uploads, err)
	}
}

// TestAStoreThatIgnoresConditionsIsRefused: it could not keep two backups apart.
func TestAStoreThatIgnoresConditionsIsRefused(t *testing.T) {
	objects := map[string]string{}
	var writes atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPut:
			writes.Add(1)
			objects[r.URL.Path] = ""
			w.Header().Set("ETag", `"x"`)
		case r.URL.Query().Get("list-type") != "":
			w.Write([]byte(`<ListBucketResult><Name>backups</Name></ListBucketResult>`))
		default:
			w.WriteHeader(http.StatusNotFound)
			w.Write([]byte(`<Error><Code>NoSuchKey</Code></Error>`))
		}
	}))
	defer s.Close()
	t.Setenv("AWS_ACCESS_KEY_ID", "x")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "y")
	dir, log := data(t)
	_, err := backup.Take(t.Context(), backup.Options{To: backup.Place{Name: "s3://backups", Access: backup.Access{Endpoint: s.URL, FromEnv: true}}, Data: dir, Log: log})
	if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "If-None-Match") {
		t.Errorf("Take = %v", err)
	}
	if writes.Load() != 2 {
		t.Errorf("%d writes, want FORMAT and the one that was to be refused", writes.Load())
	}
}

// TestAStoreThatIgnoresIfMatchIsRefused: it keeps two apart who begin, and not one who was frozen from the next.
func TestAStoreThatIgnoresIfMatchIsRefused(t *testing.T) {
	at, objects := inBucket(t)
	dir, log := data(t)
	o := backup.Options{To: at, Data: dir, Log: log}
	take(t, o)
	before, err := os.ReadFile(filepath.Join(objects, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	o.To = between(t, at, func(r *http.Request, w http.ResponseWriter, answer *httptest.ResponseRecorder) bool {
		if r.Method != http.MethodPut || r.Header.Get("If-Match") == "" || answer.Code != http.StatusPreconditionFailed {
			return false
		}
		w.Header().Set("ETag", `"written"`)
		return true
	})
	if _, err := backup.Take(t.Context(), o); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "(If-Match)") || !strings.Contains(fault.HintOf(err), "docs/backup.md") {
		t.Errorf("Take = %v, hint %q", err, fault.HintOf(err))
	}
	if after, err := os.ReadFile(filepath.Join(objects, "lock")); err != nil || string(after) != string(before) {
		t.Errorf("the lock was %s and is %s, %v", before, after, err)
	}
}

// TestACancelledBackupFreesItsPlace: the next one need not wait.
func TestACancelledBackupFreesItsPlace(t *testing.T) {
	at, _ := inBucket(t)
	dir, log := data(t)
	o := backup.Options{To: at, Data: dir, Log: log}
	take(t, o)
	stop := errors.New("stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	interrupted := o
	interrupted.Now = func() time.Time { cancel(stop); return time.Now() } // when it has the place already
	if _, err := backup.Take(ctx, interrupted); !errors.Is(err, stop) {
		t.Fatalf("Take under a context that ends = %v", err)
	}
	if list, err := backup.List(t.Context(), at); err != nil || len(list) != 1 {
		t.Errorf("List = %v, %v", list, err)
	}
	take(t, o)
}
