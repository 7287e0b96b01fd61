package build

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// The example of the DSSE protocol. // DSSE, protocol.md#test-vectors
func TestWhatIsSigned(t *testing.T) {
	const want = "DSSEv1 29 http://example.com/HelloWorld 11 hello world"
	if got := string(preAuth("http://example.com/HelloWorld", []byte("hello world"))); got != want {
		t.Errorf("preAuth = %q, want %q", got, want)
	}
}

func TestTheKeyStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "signing.key")
	made, err := loadKey(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file is %v, %v; want mode 0600", info, err)
	}
	again, err := loadKey(path)
	if err != nil || again.ID != made.ID {
		t.Fatalf("loadKey = %v, %v, want the key that was made", again, err)
	}
	sealed, err := made.seal("text/plain", []byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	if kind, text, err := again.open(sealed); err != nil || kind != "text/plain" || string(text) != "hello" {
		t.Errorf("open = %q %q, %v", kind, text, err)
	}
	other, err := loadKey(filepath.Join(t.TempDir(), "signing.key"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := other.open(sealed); err == nil {
		t.Error("another node's key opens what this one has signed")
	}
	for _, change := range []string{`"text/html"`, `"text/plain "`} {
		changed := strings.Replace(string(sealed), `"text/plain"`, change, 1)
		if _, _, err := made.open(json.RawMessage(changed)); err == nil {
			t.Errorf("open takes %s", changed)
		}
	}
	if err := os.WriteFile(path, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := loadKey(path); fault.KindOf(err) != fault.Invalid || fault.HintOf(err) == "" {
		t.Errorf("loadKey of what is none = %v, want an Invalid fault with a hint", err)
	}
}

// records is builds that never run any.
func records(t testing.TB) *Builds {
	key, err := loadKey(filepath.Join(t.TempDir(), "signing.key"))
	if err != nil {
		t.Fatal(err)
	}
	b := &Builds{dir: t.TempDir(), key: key}
	if err := os.MkdirAll(b.records(), 0o700); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestProvenance(t *testing.T) {
	b := records(t)
	hex := func(c string) string { return strings.Repeat(c, 64) }
	built := &function.Built{
		ID: "abcdefghijklmnopqrstuvwxyz", Builder: function.BuildGo, Toolchain: "go version go1.26 linux/amd64", Source: "sha256:" + hex("5"),
		Started: time.Unix(1_800_000_000, 0).UTC(), Took: function.Duration(2 * time.Second),
	}
	r := &Request{Function: "pay", Build: by(function.BuildGo), Programs: []string{"pay"}, Origin: &function.Origin{Kind: function.OriginGit, Repository: "shop", Commit: "c0ffee", Author: "Jane"}}
	code := "sha256:" + hex("c")
	if err := b.sign(r, code, built); err != nil {
		t.Fatal(err)
	}
	// As anybody does who has the public key.
	var e struct {
		PayloadType string
		Payload     []byte
		Signatures  []struct {
			KeyID string
			Sig   []byte
		}
	}
	if err := json.Unmarshal(built.Provenance, &e); err != nil {
		t.Fatal(err)
	}
	text, err := b.key.Public()
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if !ed25519.Verify(public.(ed25519.PublicKey), preAuth(e.PayloadType, e.Payload), e.Signatures[0].Sig) || e.Signatures[0].KeyID != b.key.ID {
		t.Error("the signature is not the key's")
	}
	var got any
	if err := json.Unmarshal(e.Payload, &got); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"_type": `"https://in-toto.io/Statement/v1"`, "predicateType": `"https://slsa.dev/provenance/v1"`,
		"subject.0.name": `"pay"`, "subject.0.digest.sha256": `"` + hex("c") + `"`,
		"predicate.buildDefinition.buildType":                               `"https://github.com/dalamb/dalamb/blob/main/docs/builds.md#go"`,
		"predicate.buildDefinition.externalParameters.origin.author":        `"Jane"`,
		"predicate.buildDefinition.internalParameters.toolchain":            `"go version go1.26 linux/amd64"`,
		"predicate.buildDefinition.resolvedDependencies.0.digest.sha256":    `"` + hex("5") + `"`,
		"predicate.buildDefinition.resolvedDependencies.1.digest.gitCommit": `"c0ffee"`,
		"predicate.runDetails.metadata.finishedOn":                          `"2027-01-15T08:00:02Z"`,
	} {
		if have := at(got, strings.Split(path, ".")); have != want {
			t.Errorf("%s = %s, want %s", path, have, want)
		}
	}
	if err := b.record(&record{Function: "pay", Code: code, Built: built}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Built(built.ID, code); err != nil {
		t.Errorf("Built = %v", err)
	}
	// A record that somebody has written over.
	other := "sha256:" + hex("d")
	if err := b.record(&record{Function: "pay", Code: other, Built: built}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Built(built.ID, other); fault.KindOf(err) != fault.Denied {
		t.Errorf("Built of code that was not signed = %v, want a Denied fault", err)
	}
}

// at is what stands at a path of a JSON value.
func at(v any, path []string) string {
	for _, p := range path {
		switch x := v.(type) {
		case map[string]any:
			v = x[p]
		case []any:
			v = x[p[0]-'0']
		}
	}
	text, _ := json.Marshal(v) // it was decoded from JSON
	return string(text)
}

func FuzzOpenSealed(f *testing.F) {
	b := records(f)
	sealed, err := b.key.seal(payloadType, []byte(`{"_type":"`+statementType+`","subject":[{"digest":{"sha256":"c"}}]}`))
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(sealed))
	f.Add([]byte(`{"payloadType":"x","payload":"aGVsbG8=","signatures":[{"keyid":"","sig":""}]}`))
	f.Add([]byte(`{"signatures":[{}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		err := b.verify("sha256:d", &function.Built{Provenance: text})
		if err == nil {
			t.Errorf("verify takes %q for code that was not signed", text)
		}
	})
}
