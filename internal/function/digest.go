package function

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// Digest names a version by what it is: the digests of its code and of its image, "" where it has none, and its settings. Two Specs that mean the same have the
// same digest, however their filters are written.
func (s *Spec) Digest(code, image string) string {
	c := *s
	c.Rollout = nil // it is about the way to the version
	c.Triggers = make([]Trigger, len(s.Triggers))
	for i, t := range s.Triggers {
		t.Filter = canonicalJSON(t.Filter)
		c.Triggers[i] = t
	}
	b, err := json.Marshal(struct {
		Code  string `json:"code"`
		Image string `json:"image,omitempty"`
		Spec  Spec   `json:"spec"`
	}{code, image, c})
	if err != nil {
		b = fmt.Appendf(nil, "%s %s %+v", code, image, c) // not a number in CPU or Factor, which Validate refuses
	}
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// canonicalJSON sorts keys and drops space; numbers stay digit for digit. What is not JSON stays as it is, quoted.
func canonicalJSON(raw json.RawMessage) json.RawMessage {
	if raw == nil {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		v = string(raw)
	}
	b, _ := json.Marshal(v) // what was decoded from JSON can be encoded
	return b
}
