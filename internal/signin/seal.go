package signin

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
)

// Seal is a kind of text that a browser keeps: sealed with a key that only this installation has, for one purpose and one place. What was sealed for
// another purpose or place, or with another secret, does not open.
type Seal struct {
	Secret  []byte // high-entropy; all nodes have the same
	Purpose string
	Place   string // such as a host name
}

// errSealed tells nothing of why a text does not open.
var errSealed = errors.New("the text was not sealed here")

// maxSealed bounds what is opened, in bytes: browsers keep cookies of 4 KiB.
const maxSealed = 4 << 10

func (s Seal) box() (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, s.Secret, nil, "dalamb "+s.Purpose, 32)
	if err != nil {
		return nil, fmt.Errorf("derive a key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("make a cipher: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// Close seals a value, as text that a cookie can have.
func (s Seal) Close(v any) (string, error) {
	box, err := s.box()
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("encode %T: %w", v, err)
	}
	sealed := base64.RawURLEncoding.EncodeToString(box.Seal(nil, nil, text, []byte(s.Place)))
	if len(sealed) > maxSealed {
		return "", fmt.Errorf("seal %T: it would have %d bytes", v, len(sealed))
	}
	return sealed, nil
}

// Open gives back what Close was given.
func (s Seal) Open(text string, into any) error {
	if len(text) > maxSealed {
		return errSealed
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return errSealed
	}
	box, err := s.box()
	if err != nil {
		return err
	}
	plain, err := box.Open(nil, nil, sealed, []byte(s.Place))
	if err != nil {
		return errSealed
	}
	if err := json.Unmarshal(plain, into); err != nil {
		return fmt.Errorf("decode %T: %w", into, err)
	}
	return nil
}
