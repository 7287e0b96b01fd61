package gateway

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/sync/semaphore"

	"github.com/dalamb/dalamb/internal/fault"
)

// passwords checks users' passwords against bcrypt hashes. That takes tens of milliseconds by design, so that one who guesses could take all
// CPUs: hashes are computed one at a time for each route, and what was right is remembered for a while, as a digest with a key of this process.
type passwords struct {
	turn  *semaphore.Weighted
	key   [sha256.Size]byte
	right *otter.Cache[[sha256.Size]byte, struct{}]
}

// How long a password that was right is not computed again, and of how many users. A secret that is set anew ends it at once.
const (
	passwordTime  = 5 * time.Minute
	passwordUsers = 10_000
)

// maxPassword is what bcrypt looks at, in bytes: two longer ones that begin alike would be the same.
const maxPassword = 72

// passwordWait is how long a request waits for its turn.
const passwordWait = 10 * time.Second

type credentials struct{ user, password string }

// users are the lines of a secret, and which revision of it they are.
type users struct {
	lines    []byte
	revision int64
}

func newPasswords() *passwords {
	p := &passwords{turn: semaphore.NewWeighted(1), right: otter.Must(&otter.Options[[sha256.Size]byte, struct{}]{
		MaximumSize: passwordUsers, ExpiryCalculator: otter.ExpiryWriting[[sha256.Size]byte, struct{}](passwordTime),
	})}
	_, _ = rand.Read(p.key[:]) // it never fails: crypto/rand
	return p
}

// check says whether the password is the user's. An error means that it could not be found out.
func (p *passwords) check(ctx context.Context, c credentials, all users) (bool, error) {
	id := p.digest(c, all.revision)
	if _, ok := p.right.GetIfPresent(id); ok {
		return true, nil
	}
	ctx, cancel := context.WithTimeout(ctx, passwordWait)
	defer cancel()
	if err := p.turn.Acquire(ctx, 1); err != nil {
		return false, fault.New(fault.Exhausted, "more passwords than can be checked are being sent to this route").WithHint("try again in a moment; limit: bounds what one client may send")
	}
	defer p.turn.Release(1)
	right := bcrypt.CompareHashAndPassword(all.hash(c.user), []byte(c.password)) == nil
	if !right || len(c.password) > maxPassword {
		return false, nil
	}
	p.right.Set(id, struct{}{})
	return true, nil
}

func (p *passwords) digest(c credentials, revision int64) [sha256.Size]byte {
	h := sha256.New()
	h.Write(p.key[:])
	for _, part := range []string{c.user, c.password} {
		sum := sha256.Sum256([]byte(part))
		h.Write(sum[:])
	}
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(revision)))
	return [sha256.Size]byte(h.Sum(nil))
}

// hash is the bcrypt hash of a user. Of one who is not there it is one that nothing matches, of the cost of the others, so that the time of an
// answer does not tell who is. Empty lines and those that begin with # say nothing.
func (u users) hash(name string) []byte {
	cost := bcrypt.DefaultCost
	for line := range bytes.Lines(u.lines) {
		user, hash, ok := bytes.Cut(bytes.TrimSpace(line), []byte(":"))
		if !ok || len(user) == 0 || bytes.HasPrefix(user, []byte("#")) {
			continue
		}
		if string(user) == name {
			return hash
		}
		if c, err := bcrypt.Cost(hash); err == nil {
			cost = c
		}
	}
	return fmt.Appendf(nil, "$2a$%02d$%s", cost, strings.Repeat(".", 53))
}
