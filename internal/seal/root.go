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
		return k.openFirst(ctx, id)
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

// openFirst is openRoot for the one that data keys are sealed with: without it nothing can be said of any.
func (k *keys) openFirst(ctx context.Context, id string) (*rootKey, error) {
	root, err := k.openRoot(ctx, id)
	if errors.Is(err, errDamaged) {
		return nil, lostRoot(id)
	}
	return root, err
}

// rootOf gives the root key that a data key names which stands at an offset. errDamaged says that it names none: somebody else than a node of this installation has
// written that. This is known only where the first root key can be opened, since then neither the topic nor the key of the installation is another one; where it
// cannot, the error is one that stops the reader.
func (k *keys) rootOf(ctx context.Context, id string, named int64) (*rootKey, error) {
	if k.isSpoilt(id, named) {
		return nil, errDamaged
	}
	root, err := k.openRoot(ctx, id)
	if !errors.Is(err, errDamaged) && !errors.Is(err, errForeign) {
		return root, err
	}
	first, ok := k.firstRoot()
	if !ok {
		return nil, lostRoot(id)
	}
	if _, err := k.openFirst(ctx, first); err != nil {
		return nil, err
	}
	if k.spoil(id) {
		k.logger.Warn("a root key of sealed topics is not one of this installation; what is sealed by it is passed over as damaged", "root", hex.EncodeToString([]byte(id)), "topic", function.TopicSeals, "err", err)
	}
	return nil, errDamaged
}

func lostRoot(id string) error {
	return fault.New(fault.Unavailable, "the root key %x of sealed topics is not in %s", id, function.TopicSeals).
		WithHint("restore %s from a back-up: no event of a sealed topic can be read without it", function.TopicSeals)
}

// openRoot gives a root key that is in the log. errDamaged: there is none, or nothing that a node could have stored. errForeign: it is sealed for a key that this node
// has not, which by itself is no way to forget.
func (k *keys) openRoot(ctx context.Context, id string) (*rootKey, error) {
	root, err := k.openRootHere(ctx, id)
	if !errors.Is(err, errDamaged) {
		return root, err
	}
	// It was stored with the data key that names it, or before: who has read all that was there now knows that it is not.
	if err := k.catchUp(ctx); err != nil {
		return nil, err
	}
	return k.openRootHere(ctx, id)
}

// openRootHere is openRoot by what this node has folded.
func (k *keys) openRootHere(ctx context.Context, id string) (*rootKey, error) {
	have, at, ok := k.findRoot(id)
	switch {
	case have != nil:
		return have, nil
	case !ok:
		return nil, errDamaged
	}
	value, err := k.read(ctx, append([]byte{rootPrefix}, id...), at)
	if errors.Is(err, errForgotten) {
		return nil, errDamaged
	}
	if err != nil {
		return nil, err
	}
	var s secret.Sealed
	if len(value) == 0 || value[0] != rootFormat || json.Unmarshal(value[1:], &s) != nil {
		return nil, errDamaged
	}
	key, err := k.box.Open(secret.RootKey(hex.EncodeToString([]byte(id))), s)
	switch own := k.box.Key(); {
	case err != nil && own != "" && own == s.Key:
		return nil, errDamaged // it is for this node's key, and was not made by who had that
	case err != nil:
		e := fault.New(fault.Unavailable, "open the root key of sealed topics: %w", fmt.Errorf("%w: %w", errForeign, err))
		return nil, e.WithHint("the node needs the key file that sealed topics were made with: docs/secrets.md")
	case len(key) != keySize:
		return nil, errDamaged
	}
	root := &rootKey{id: id}
	if root.aead, err = gcm(key); err != nil {
		return nil, err
	}
	k.keepRoot(root)
	return root, nil
}
