// Package secret owns how secrets are encrypted at rest: the key, where a node keeps it, and what a sealed value is. It does not
// keep the sealed values (catalog does) and does not decide which function gets one (fleet asks for those of a version).
//
// A sealed value is an age file of one X25519 recipient, so that it can be read without dalamb too: age -d -i secret.key. The key is one for
// the whole installation, since all nodes read the same sealed values from the log. // age-encryption.org/v1
package secret

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"

	"filippo.io/age"

	"github.com/dalamb/dalamb/internal/durable"
	"github.com/dalamb/dalamb/internal/fault"
)

// MaxValue is the largest secret, in bytes.
const MaxValue = 64 << 10

// head begins what is encrypted. The secret's name follows, so that who can write to the log and knows no key cannot let a function have
// another's value.
const head = "dalamb secret v1\x00"

// Sealed is a secret's value as it may be stored.
type Sealed struct {
	Key  string `json:"key"`  // the age recipient that it is encrypted for
	Text []byte `json:"text"` // an age file
}

// Box seals and opens values. Safe for concurrent use.
type Box struct {
	o Options

	mu  sync.Mutex
	key *age.X25519Identity // nil = there is none yet
}

// Open reads the key of a node, where there is one. One is made by the first Seal.
func Open(ctx context.Context, o Options) (*Box, error) {
	if o.File == "" {
		return nil, fault.New(fault.Invalid, "there is no name for the file of the secrets' key")
	}
	if err := durable.Sweep(filepath.Dir(o.File)); err != nil { // what a killed node left there may be a key
		return nil, err
	}
	b := &Box{o: o}
	var err error
	if b.key, err = o.load(ctx); err != nil {
		return nil, err
	}
	return b, nil
}

// Opens says why Open would not open a key. A key that is not there yet is none that cannot be opened, and nothing is made or swept away.
func Opens(ctx context.Context, o Options) error {
	_, err := o.load(ctx)
	return err
}

// Key is the recipient that this node's key opens values for; "" = it has none yet.
func (b *Box) Key() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return recipient(b.key)
}

func recipient(key *age.X25519Identity) string {
	if key == nil {
		return ""
	}
	return key.Recipient().String()
}

// Seal encrypts the value of a secret. A node without a key makes one, and its file, first.
func (b *Box) Seal(ctx context.Context, name string, value []byte) (Sealed, error) {
	if len(value) > MaxValue {
		return Sealed{}, TooLarge(name)
	}
	key, err := b.hold(ctx)
	if err != nil {
		return Sealed{}, err
	}
	var text bytes.Buffer
	w, err := age.Encrypt(&text, key.Recipient())
	if err == nil {
		_, err = w.Write(append([]byte(head+name+"\x00"), value...))
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return Sealed{}, fmt.Errorf("encrypt secret %q: %w", name, err)
	}
	return Sealed{Key: recipient(key), Text: text.Bytes()}, nil
}

// AccessKey is the name by which the secret of an access key is sealed: one that no secret of a function can have.
func AccessKey(id string) string { return "access-key/" + id }

// RootKey is the name by which a root key of sealed topics is sealed: one that no secret of a function can have.
func RootKey(id string) string { return "root-key/" + id }

// TooLarge refuses the value of a secret.
func TooLarge(name string) error {
	return fault.New(fault.TooLarge, "secret %q has more than %d bytes", name, MaxValue).
		WithHint("keep what is larger elsewhere, encrypted, and make the key for it the secret")
}

// hold gives the key, and makes it where there is none.
func (b *Box) hold(ctx context.Context) (*age.X25519Identity, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.key == nil {
		key, err := b.o.create(ctx) // under the lock: there must not be two
		if err != nil {
			return nil, err
		}
		b.key = key
	}
	return b.key, nil
}

// Open decrypts a sealed value. It refuses, with words, what is for another key or another secret.
func (b *Box) Open(name string, s Sealed) ([]byte, error) {
	b.mu.Lock()
	key := b.key
	b.mu.Unlock()
	switch own := recipient(key); {
	case own == "":
		return nil, fault.New(fault.Unavailable, "secret %q is encrypted for key %s, and this node has no key", name, s.Key).
			WithHint("copy the key file of a node that has it to %s, with mode 0600, and start this node again", b.o.File)
	case own != s.Key:
		return nil, fault.New(fault.Unavailable, "secret %q is encrypted for key %s, and this node has another one, %s", name, s.Key, own).
			WithHint("all nodes need the same key: put the right one in %s and start this node again, or set the secret again", b.o.File)
	}
	bad := func(why error) error {
		return fault.New(fault.Unavailable, "secret %q cannot be decrypted: %w", name, why).WithHint("set it again: dalamb secret set %s", name)
	}
	r, err := age.Decrypt(bytes.NewReader(s.Text), key)
	if err != nil {
		return nil, bad(err)
	}
	prefix := head + name + "\x00"
	plain, err := io.ReadAll(io.LimitReader(r, int64(len(prefix))+MaxValue+1))
	switch {
	case err != nil:
		return nil, bad(err)
	case !strings.HasPrefix(string(plain[:min(len(plain), len(prefix))]), prefix):
		return nil, bad(errOther)
	case len(plain) > len(prefix)+MaxValue:
		return nil, bad(errLong)
	}
	return plain[len(prefix):], nil
}

var (
	errOther = fmt.Errorf("it was encrypted as another secret")
	errLong  = fmt.Errorf("it has more than %d bytes", MaxValue)
)
