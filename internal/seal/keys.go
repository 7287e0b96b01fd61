package seal

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// keySize is that of AES-256, in bytes.
const keySize = 32

var (
	errForgotten = errors.New("the key is forgotten")
	errDamaged   = errors.New("the key is damaged")
	errForeign   = errors.New("it is for another key of an installation")
)

// digest stands for the key of an event. 128 bits of SHA-256 do not collide by accident.
type digest [16]byte

func digestOf(key []byte) digest {
	sum := sha256.Sum256(key)
	return digest(sum[:16])
}

// keyID names a data key: whose it is, and which of those. Nodes make keys without asking each other, so there may be several of one event key; each opens what
// it has sealed, and all are forgotten together.
type keyID [24]byte

func (id keyID) owner() digest { return digest(id[:16]) }

func (id keyID) String() string { return base64.RawURLEncoding.EncodeToString(id[:]) }

func parseID(s string) (id keyID, ok bool) {
	if len(s) != base64.RawURLEncoding.EncodedLen(len(id)) {
		return id, false
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return id, false
	}
	return keyID(b), true
}

// dataKey seals the payloads of one event key in one topic.
type dataKey struct {
	id     keyID
	topic  string
	aead   cipher.AEAD
	record eventlog.Record // of one that is made
}

// gcm is AES-256-GCM with a random nonce of 96 bits in front of what is sealed. NIST SP 800-38D, section 8.2.2: good for 2^32 payloads of one key.
func gcm(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("use a key: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// lostKey seals what nobody is to open: the key is not kept.
func lostKey(id keyID) (*dataKey, error) {
	aead, err := gcm(randomBytes(keySize))
	return &dataKey{id: id, aead: aead}, err
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return b
}

// In _dalamb.seals a data key stands under "k" and its id, a root key under "r" and its own, which is random. A null says that it is gone.
const (
	dataPrefix = 'k'
	rootPrefix = 'r'

	dataFormat = 1 // root key's id, length and text of the topic, the data key as gcm seals it with the root key
	rootFormat = 2 // JSON of secret.Sealed
	rootIDSize = 8
	dataHead   = "dalamb data key v1"
)

// makeKey makes a data key, for use when it is stored.
func makeKey(root *rootKey, owner digest, topic string) (*dataKey, error) {
	made := &dataKey{topic: topic}
	copy(made.id[:], owner[:])
	rand.Read(made.id[len(owner):])
	key := randomBytes(keySize)
	var err error
	if made.aead, err = gcm(key); err != nil {
		return nil, err
	}
	head := append([]byte{dataFormat}, root.id...)
	head = binary.AppendUvarint(head, uint64(len(topic)))
	head = append(head, topic...)
	made.record = eventlog.Record{
		Topic: function.TopicSeals, Key: append([]byte{dataPrefix}, made.id[:]...),
		Value: root.aead.Seal(head, nil, key, dataBound(made.id, head)),
	}
	return made, nil
}

// dataBound is what a data key, as it stands in the log, is bound to.
func dataBound(id keyID, head []byte) []byte {
	return append(append([]byte(dataHead), id[:]...), head...)
}

// headOf takes the head of a data key's value off; ok is false for what is none.
func headOf(value []byte) (root string, topic string, head int, ok bool) {
	if len(value) < 1+rootIDSize || value[0] != dataFormat {
		return "", "", 0, false
	}
	root = string(value[1 : 1+rootIDSize])
	rest := value[1+rootIDSize:]
	n, used := binary.Uvarint(rest)
	if used <= 0 || n > uint64(len(rest)-used) {
		return "", "", 0, false
	}
	topic = strings.Clone(string(rest[used : used+int(n)]))
	return root, topic, 1 + rootIDSize + used + int(n), true
}

// open gives a key that is in the log. errForgotten and errDamaged say what else there is; other errors may pass.
func (k *keys) open(ctx context.Context, id keyID) (*dataKey, error) {
	have, at, ok := k.find(id)
	switch {
	case have != nil:
		return have, nil
	case !ok:
		return nil, errForgotten
	}
	value, err := k.read(ctx, append([]byte{dataPrefix}, id[:]...), at)
	if err != nil {
		return nil, err
	}
	rootID, topic, n, ok := headOf(value)
	if !ok {
		return nil, errDamaged
	}
	root, err := k.rootOf(ctx, rootID, at)
	if err != nil {
		return nil, err
	}
	plain, err := root.aead.Open(nil, nil, value[n:], dataBound(id, value[:n]))
	if err != nil || len(plain) != keySize {
		return nil, errDamaged
	}
	opened := &dataKey{id: id, topic: topic}
	if opened.aead, err = gcm(plain); err != nil {
		return nil, err
	}
	k.keep(opened)
	return opened, nil
}

// current is a key by which events of an event key are sealed; nil = there is none.
func (k *keys) current(ctx context.Context, owner digest, topic string) (*dataKey, error) {
	for _, id := range k.idsOf(owner, topic) {
		opened, err := k.open(ctx, id)
		if err == nil {
			return opened, nil
		}
		if !errors.Is(err, errForgotten) && !errors.Is(err, errDamaged) {
			return nil, err
		}
	}
	return nil, nil
}

// read reads the value of a record of _dalamb.seals. errForgotten: it has gone since it was folded.
func (k *keys) read(ctx context.Context, key []byte, at int64) ([]byte, error) {
	rs, err := k.log.Read(ctx, k.partition(), at, eventlog.ReadOptions{MaxRecords: 1, NoWait: true})
	if err != nil {
		return nil, fmt.Errorf("read %s offset %d: %w", function.TopicSeals, at, err)
	}
	if len(rs) == 0 || rs[0].Offset != at || !bytes.Equal(rs[0].Key, key) {
		return nil, errForgotten
	}
	return rs[0].Value, nil
}
