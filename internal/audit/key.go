package audit

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/dalamb/dalamb/internal/durable"
	"github.com/dalamb/dalamb/internal/fault"
)

// What is in a node's directory of the audit.
const (
	keyFile     = "key"     // what checkpoints are signed with, in the form of golang.org/x/mod/sumdb/note; mode 0600
	publicFile  = "key.pub" // what others check them with
	stateFile   = "state"   // the fold of all checkpoints, signed
	pendingFile = "pending" // the checkpoint that the log has not answered for
	treesDir    = "trees"   // TOPIC-ID/PARTITION.leaves and .tiles
)

// loadKey reads the key of a directory, or makes it where nothing tells of one before it: what that has signed would be checked by the wrong key.
func loadKey(dir string) (note.Signer, string, error) {
	for _, name := range []string{keyFile, publicFile, stateFile} {
		if _, err := os.Lstat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			return readKey(dir)
		}
	}
	if err := makeKey(dir); err != nil {
		return nil, "", fmt.Errorf("make the key of checkpoints: %w", err)
	}
	return readKey(dir)
}

// readKey reads the key of a directory, and changes nothing there.
func readKey(dir string) (note.Signer, string, error) {
	path := filepath.Join(dir, keyFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", fault.New(fault.Invalid, "%s, which signed the checkpoints, is not there: %w", path, fs.ErrNotExist).
			WithHint("restore the file; or move the directory %s away, and the next start begins another audit with another key", dir)
	}
	if err != nil {
		return nil, "", fmt.Errorf("read the key of checkpoints: %w", err)
	}
	signer, err := note.NewSigner(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, "", fault.New(fault.Invalid, "%s holds no key that signs checkpoints", path). // never the text, which is secret
														WithHint("restore the file; or move the directory %s away, and the next start begins another audit with another key", dir)
	}
	public, err := os.ReadFile(filepath.Join(dir, publicFile))
	if err != nil {
		return nil, "", fmt.Errorf("read the public key of checkpoints: %w", err)
	}
	verifier, err := ParseKey(string(public))
	if err != nil {
		return nil, "", fmt.Errorf("read the public key of checkpoints in %s: %w", dir, err)
	}
	if verifier.Name() != signer.Name() || verifier.KeyHash() != signer.KeyHash() {
		return nil, "", fault.New(fault.Invalid, "%s is not the public half of %s", filepath.Join(dir, publicFile), path).WithHint("restore both files")
	}
	return signer, strings.TrimSpace(string(public)), nil
}

// makeKey makes a key with a name of its own, so that what two nodes sign cannot be mixed up. The public half is there first: a key is never
// used before others can check with it.
func makeKey(dir string) error {
	raw := make([]byte, 4)
	rand.Read(raw) // never fails: crypto/rand
	private, public, err := note.GenerateKey(nil, "dalamb-"+hex.EncodeToString(raw))
	if err != nil {
		return err
	}
	if err := durable.Replace(filepath.Join(dir, publicFile), []byte(public+"\n")); err != nil {
		return err
	}
	return durable.Replace(filepath.Join(dir, keyFile), []byte(private+"\n"))
}

// ParseKey reads a public key as dalamb audit key prints it.
func ParseKey(text string) (note.Verifier, error) {
	v, err := note.NewVerifier(strings.TrimSpace(text))
	if err != nil {
		return nil, fault.New(fault.Invalid, "%q is no public key of checkpoints", fault.Clip(strings.TrimSpace(text))).WithHint("such as dalamb audit key prints: NAME+HASH+KEY")
	}
	return v, nil
}

// KeyOf is the public key in a directory of an audit.
func KeyOf(dir string) (note.Verifier, error) {
	text, err := os.ReadFile(filepath.Join(dir, publicFile))
	if err != nil {
		return nil, fmt.Errorf("read the public key of checkpoints: %w", err)
	}
	return ParseKey(string(text))
}
