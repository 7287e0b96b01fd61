package need

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/need/child"
)

// Store is a real server of S3 on loopback, of the test's own.
type Store struct {
	URL         string // http
	Key, Secret string // of its administrator
	Dir         string // of the buckets: a directory is one, and in it the objects are files by their names

	program string
}

// Bucket makes a bucket.
func (s *Store) Bucket(t testing.TB, name string) {
	t.Helper()
	if err := os.Mkdir(filepath.Join(s.Dir, name), 0o700); err != nil {
		t.Fatalf("make a bucket: %v", err)
	}
}

// User makes a user who may do nothing yet, and returns its secret.
func (s *Store) User(t testing.TB, key string) (secret string) {
	t.Helper()
	secret = rand.Text()
	cmd := exec.CommandContext(t.Context(), s.program, "admin", "--endpoint-url", s.URL, "create-user", "--access", key, "--secret", secret, "--role", "user")
	cmd.Env = append(cmd.Environ(), "ADMIN_ACCESS_KEY_ID="+s.Key, "ADMIN_SECRET_ACCESS_KEY="+s.Secret, "ADMIN_ACCESS_KEY="+s.Key, "ADMIN_SECRET_KEY="+s.Secret)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make a user of S3: %v\n%s", err, out)
	}
	return secret
}

// Buckets needs versitygw, a server of S3 that keeps objects in a directory, and starts one. It is closed when the test ends.
func Buckets(t testing.TB) *Store {
	t.Helper()
	program := Program(t, "versitygw")
	own := t.TempDir()
	s := &Store{Key: "test", Secret: rand.Text(), program: program, Dir: filepath.Join(own, "buckets")}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("find a free port: %v", err)
	}
	address := l.Addr().String()
	l.Close()
	s.URL = "http://" + address
	beside, accounts, keys, said := filepath.Join(own, "beside"), filepath.Join(own, "accounts"), filepath.Join(own, "keys"), filepath.Join(own, "said")
	for _, dir := range []string{s.Dir, beside, accounts} {
		err = errors.Join(err, os.Mkdir(dir, 0o700))
	}
	// The secret is no argument, which everybody on the machine may read.
	if err = errors.Join(err, os.WriteFile(keys, []byte(s.Secret), 0o600)); err != nil {
		t.Fatalf("prepare a server of S3: %v", err)
	}
	// What it knows of objects it keeps beside them, since not every file system has room for that in a file's attributes.
	c, err := child.Start(own, said, []string{"sh", "-c", `ROOT_SECRET_KEY=$(cat "$1") && export ROOT_SECRET_KEY && shift && exec "$@"`, "sh", keys,
		program, "--port", address, "--access", s.Key, "--iam-dir", accounts, "--keep-alive", "posix", "--sidecar", beside, s.Dir})
	if err != nil {
		t.Fatalf("start a server of S3: %v", err)
	}
	t.Cleanup(func() {
		if err := c.End(syscall.SIGKILL); err != nil {
			t.Errorf("stop the server of S3: %v", err)
		}
		if text, err := os.ReadFile(said); t.Failed() && err == nil {
			t.Logf("the server of S3 said:\n%s", text[max(0, len(text)-4096):])
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		if res, err := http.DefaultClient.Do(r); err == nil {
			res.Body.Close()
			return s
		}
		select {
		case <-tick.C:
		case <-c.Done():
			t.Fatal("the server of S3 has ended")
		case <-ctx.Done():
			t.Fatal("the server of S3 does not answer")
		}
	}
}
