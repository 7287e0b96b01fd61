package cli_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/dalamb/dalamb/internal/need"
)

// TestBucketScripts runs those that take a server of S3: $STORE is its URL, $BUCKETS the directory of its buckets.
func TestBucketScripts(t *testing.T) {
	s := need.Buckets(t)
	s.Bucket(t, "backups")
	p := params()
	p.Dir = "testdata/bucket"
	p.Setup = func(e *testscript.Env) error {
		for name, value := range map[string]string{
			"STORE": s.URL, "BUCKETS": s.Dir, "AWS_ACCESS_KEY_ID": s.Key, "AWS_SECRET_ACCESS_KEY": s.Secret, "AWS_ENDPOINT_URL_S3": s.URL, "AWS_EC2_METADATA_DISABLED": "true",
		} {
			e.Setenv(name, value)
		}
		return setup(e)
	}
	testscript.Run(t, p)
}

// appears waits for a file whose path fits a pattern. appears PATTERN
func appears(ts *testscript.TestScript, _ bool, args []string) {
	poll(ts, args[0], func() bool {
		found, err := filepath.Glob(ts.MkAbs(args[0]))
		ts.Check(err)
		return len(found) > 0
	})
}

// spoil changes one byte in the middle of every file whose path fits a pattern. spoil PATTERN
func spoil(ts *testscript.TestScript, _ bool, args []string) {
	found, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(found) == 0 {
		ts.Fatalf("nothing fits %s", args[0])
	}
	for _, path := range found {
		text, err := os.ReadFile(path)
		ts.Check(err)
		text[len(text)/2] ^= 1
		ts.Check(os.WriteFile(path, text, 0o600))
	}
}
