package idempotency

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/function"
)

// Digest stands for a key: of whom and for what too. 128 bits of SHA-256 do not collide by accident or by design.
type Digest [16]byte

// DigestOf is the digest of these words, whatever they hold.
func DigestOf(words ...string) Digest {
	h := sha256.New()
	for _, w := range words {
		fmt.Fprintf(h, "%d:%s", len(w), w)
	}
	return Digest(h.Sum(nil))
}

// record is a claim, or, with an answer, what came of it.
type record struct {
	Claim       string    `json:"claim"`
	Function    string    `json:"function"`
	Route       string    `json:"route"`
	Fingerprint Digest    `json:"fingerprint"`
	Node        string    `json:"node"`
	Run         string    `json:"run"`
	Attempt     int       `json:"attempt"`
	Begun       time.Time `json:"begun"` // the first attempt
	At          time.Time `json:"at"`
	Expects     int64     `json:"expects"`  // the last record of the key that the claim knows of; -1 = none
	Deadline    time.Time `json:"deadline"` // by which an answer is there, or none comes any more

	Claimed int64            `json:"claimed,omitempty"` // an answer's: the claim's offset
	Expires time.Time        `json:"expires,omitzero"`  // an answer's
	Answer  *function.Answer `json:"answer,omitempty"`
}

// begun is when the first attempt was begun, or not later. Records of old do not say: then each attempt before was claimed as long as this one, and the
// next came as late as it could, when the claim was all but forgotten.
func (r *record) begun() time.Time {
	if !r.Begun.IsZero() {
		return r.Begun
	}
	return r.At.Add(-time.Duration(r.Attempt-1) * (r.Deadline.Sub(r.At) + function.MaxKeep))
}

// MarshalText implements encoding.TextMarshaler.
func (d Digest) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, d[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Digest) UnmarshalText(b []byte) error {
	raw, err := hex.DecodeString(string(b))
	if err != nil || len(raw) != len(d) {
		return fmt.Errorf("%q is no digest", b)
	}
	*d = Digest(raw)
	return nil
}

// partitionOf is where all that is about a key stands.
func partitionOf(digest Digest) int32 { return int32(digest[0] % Partitions) }

// encode makes the record of a claim or, rec nil, the tombstone that takes one away.
func encode(digest Digest, claim string, rec *record) eventlog.Record {
	r := eventlog.Record{Topic: function.TopicIdempotency, Partition: partitionOf(digest), Key: []byte(hex.EncodeToString(digest[:]) + "." + claim)}
	if rec == nil {
		return r
	}
	value, err := json.Marshal(rec)
	if err != nil { // texts, numbers and times of this century
		panic(fmt.Sprintf("encode %T: %v", rec, err))
	}
	r.Value = value
	return r
}

// decode is the inverse of encode.
func decode(r *eventlog.Record) (digest Digest, claim string, rec *record, err error) {
	text, claim, _ := strings.Cut(string(r.Key), ".")
	if err := digest.UnmarshalText([]byte(text)); err != nil {
		return digest, "", nil, err
	}
	if r.Value == nil {
		return digest, claim, nil, nil
	}
	rec = new(record)
	if err := json.Unmarshal(r.Value, rec); err != nil {
		return digest, "", nil, fmt.Errorf("decode: %w", err)
	}
	if rec.Claim != claim {
		return digest, "", nil, fmt.Errorf("the record of claim %q says that it is %q's", claim, rec.Claim)
	}
	return digest, claim, rec, nil
}
