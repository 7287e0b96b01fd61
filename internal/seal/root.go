package seal

import (
	"context"
	"crypto/cipher"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/secret"
)

// rootKey seals data keys, so that these are short and quick to open. It is sealed itself for the key of the installation.
type rootKey struct {
	id     string // rootIDSize random bytes
	aead   cipher.AEAD
	record eventlog.Record // of one that is not stored yet
}

// rootKey is one to seal data keys with: that which was stored first, or a new one where there is none.
func (k *keys) rootKey(ctx context.Context) (*rootKey, error) {
	if id, ok := k.firstRoot(); ok {
		return k.openRoot(ctx, id)
	}
	id, key := string(randomBytes(rootIDSize)), randomBytes(keySize)
	s, err := k.box.Seal(ctx, secret.RootKey(hex.EncodeToString([]byte(id))), key)
	if err != nil {
		return nil, fmt.Errorf("make a root key of sealed topics: %w", err)
	}
	text, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode a root key: %w", err)
	}
	root := &rootKey{id: id, record: eventlog.Record{Topic: function.TopicSeals, Key: append([]byte{rootPrefix}, id...), Value: append([]byte{rootFormat}, text...)}}
	root.aead, err = gcm(key)
	return root, err
}

// openRoot gives a root key that is in the log. That it is not there, or that this node cannot open it, is no way to forget.
func (k *keys) openRoot(ctx context.Context, id string) (*rootKey, error) {
	have, at, ok := k.findRoot(id)
	if have != nil {
		return have, nil
	}
	gone := fault.New(fault.Unavailable, "the root key %x of sealed topics is not in %s", id, function.TopicSeals).
		WithHint("restore %s from a back-up: no event of a sealed topic can be read without it", function.TopicSeals)
	if !ok {
		return nil, gone
	}
	value, err := k.read(ctx, append([]byte{rootPrefix}, id...), at)
	if errors.Is(err, errForgotten) {
		return nil, gone
	}
	if err != nil {
		return nil, err
	}
	var s secret.Sealed
	if len(value) == 0 || value[0] != rootFormat || json.Unmarshal(value[1:], &s) != nil {
		return nil, gone
	}
	key, err := k.box.Open(secret.RootKey(hex.EncodeToString([]byte(id))), s)
	if err != nil {
		e := fault.New(fault.Unavailable, "open the root key of sealed topics: %w", err)
		return nil, e.WithHint("the node needs the key file that sealed topics were made with: docs/secrets.md")
	}
	root := &rootKey{id: id}
	if root.aead, err = gcm(key); err != nil {
		return nil, err
	}
	k.keepRoot(root)
	return root, nil
}
