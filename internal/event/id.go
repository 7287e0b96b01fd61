package event

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"
)

// NewID returns a UUID of version 7: it begins with the time in milliseconds, so ids sort roughly by age.
// RFC 9562, section 5.7.
func NewID() string {
	return newID(time.Now())
}

func newID(now time.Time) string {
	var u [16]byte
	rand.Read(u[6:]) // never fails: it ends the process instead
	ms := uint64(now.UnixMilli())
	binary.BigEndian.PutUint16(u[0:], uint16(ms>>32))
	binary.BigEndian.PutUint32(u[2:], uint32(ms))
	return format(u, 7)
}

// HashID returns a UUID that is the same for the same bytes, today and after every restart. RFC 9562, section 5.8 (version 8).
func HashID(b []byte) string {
	sum := sha256.Sum256(b)
	return format([16]byte(sum[:16]), 8)
}

// format sets version and variant and writes the UUID as text.
func format(u [16]byte, version byte) string {
	u[6] = u[6]&0x0f | version<<4
	u[8] = u[8]&0x3f | 0x80
	var s [36]byte
	hex.Encode(s[0:8], u[0:4])
	hex.Encode(s[9:13], u[4:6])
	hex.Encode(s[14:18], u[6:8])
	hex.Encode(s[19:23], u[8:10])
	hex.Encode(s[24:36], u[10:16])
	s[8], s[13], s[18], s[23] = '-', '-', '-', '-'
	return string(s[:])
}
