package build

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/dalamb/dalamb/internal/durable"
	"github.com/dalamb/dalamb/internal/fault"
)

// Key signs what a node says of its builds.
type Key struct {
	ID      string // of the public half: SHA-256 of its DER form, in hex
	private ed25519.PrivateKey
}

// envelope is signed text. // DSSE, envelope.md
type envelope struct {
	Type       string      `json:"payloadType"`
	Payload    []byte      `json:"payload"` // base64, as encoding/json has it
	Signatures []signature `json:"signatures"`
}

type signature struct {
	KeyID string `json:"keyid"`
	Sig   []byte `json:"sig"`
}

// preAuth is what is signed of a text: also its type, and how long both are. // DSSE, protocol.md
func preAuth(kind string, text []byte) []byte {
	return fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(kind), kind, len(text), text)
}

// seal signs a text.
func (k *Key) seal(kind string, text []byte) (json.RawMessage, error) {
	e := envelope{Type: kind, Payload: text, Signatures: []signature{{KeyID: k.ID, Sig: ed25519.Sign(k.private, preAuth(kind, text))}}}
	out, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode a signature: %w", err)
	}
	return out, nil
}

// open returns a text that this key has signed.
func (k *Key) open(sealed json.RawMessage) (kind string, text []byte, err error) {
	var e envelope
	if err := json.Unmarshal(sealed, &e); err != nil {
		return "", nil, fmt.Errorf("read a signature: %w", err)
	}
	public := k.private.Public().(ed25519.PublicKey)
	for _, s := range e.Signatures {
		if ed25519.Verify(public, preAuth(e.Type, e.Payload), s.Sig) {
			return e.Type, e.Payload, nil
		}
	}
	return "", nil, fmt.Errorf("it is not signed with the key %s of this node", k.ID)
}

// Public is the half of the key that others check with, in PEM.
func (k *Key) Public() ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(k.private.Public())
	if err != nil {
		return nil, fmt.Errorf("encode the public key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// loadKey reads the key in a file, which is made where it is missing.
func loadKey(path string) (*Key, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makeKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read the key that signs builds: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, badKey(path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	private, ok := parsed.(ed25519.PrivateKey)
	if err != nil || !ok {
		return nil, badKey(path)
	}
	return newKey(private)
}

func badKey(path string) error {
	return fault.New(fault.Invalid, "%s holds no ed25519 key in PEM (PKCS #8)", path).
		WithHint("restore it; or remove it, and the next start makes another, which did not sign the versions that there are")
}

func newKey(private ed25519.PrivateKey) (*Key, error) {
	der, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		return nil, fmt.Errorf("encode the public key: %w", err)
	}
	sum := sha256.Sum256(der)
	return &Key{ID: hex.EncodeToString(sum[:]), private: private}, nil
}

// makeKey makes one and its file.
func makeKey(path string) (*Key, error) {
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, fmt.Errorf("make a key that signs builds: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, fmt.Errorf("make a key that signs builds: %w", err)
	}
	if err := durable.Replace(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})); err != nil {
		return nil, fmt.Errorf("keep the key that signs builds: %w", err)
	}
	return newKey(private)
}
