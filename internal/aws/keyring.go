package aws

import (
	"bytes"
	"sync"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/secret"
)

// keyring has the secrets of access keys in plain: to open one takes longer than to check a signature.
type keyring struct {
	box *secret.Box

	mu    sync.Mutex
	plain map[string]openKey // by id
}

type openKey struct {
	sealed []byte
	text   string
}

// maxOpen bounds the keys that are kept open. Those that were removed are forgotten with the others when it is reached.
const maxOpen = 1000

func (k *keyring) open(key catalog.AccessKey) (string, error) {
	k.mu.Lock()
	have, ok := k.plain[key.ID]
	k.mu.Unlock()
	if ok && bytes.Equal(have.sealed, key.Sealed.Text) {
		return have.text, nil
	}
	text, err := k.box.Open(secret.AccessKey(key.ID), key.Sealed)
	if err != nil {
		return "", err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.plain == nil || len(k.plain) >= maxOpen {
		k.plain = map[string]openKey{}
	}
	k.plain[key.ID] = openKey{key.Sealed.Text, string(text)}
	return string(text), nil
}
