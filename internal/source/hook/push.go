package hook

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// maxBody is in bytes: what GitHub sends at most, and more than the others do.
const maxBody = 25 << 20

// maxChanges is how many branches and tags one delivery tells of at most.
const maxChanges = 100

// Pushes is the provider of what one kind of git server tells: who pushed what.
type Pushes struct {
	Forge Forge
	// Hook is the hook of a name, or NotFound.
	Hook func(name string) (function.Hook, error)
	// Secret is the value of a secret.
	Secret func(name string) ([]byte, error)
	// Received makes durable what was told, all of it or nothing. repeated: all of it is there already.
	Received func(told []function.HookTold) (repeated bool, err error)
	Refusals *Refusals // nil = nobody counts
	Now      func() time.Time
}

// Forge is what differs between git servers.
type Forge interface {
	Word() string // function.HookProviders
	// admit looks at the headers alone: whether they can prove anything.
	admit(h http.Header, secret []byte) error
	// prove wants the request to be from who knows the secret.
	prove(c Call, secret []byte, now time.Time) error
	// read reads a request that has proved it. note says why it has no changes.
	read(c Call) (delivery string, changes []change, note string, err error)
}

// Forges are all of them.
func Forges() []Forge { return []Forge{github{}, gitlab{}, bitbucket{}, gitea{}} }

// change is what happened to one ref.
type change struct {
	ref           string // whole
	before, after string // object ids; "" or zeros = none
	forced        bool
	pusher        string
}

// Admit implements Provider.
func (p Pushes) Admit(c Call) (most int64, err error) {
	_, secret, err := p.find(c.Name)
	if err != nil {
		return 0, err
	}
	if err := p.Forge.admit(c.Header, secret); err != nil {
		return 0, p.Refusals.count(p.Forge.Word(), c.Name, err)
	}
	if kind, _, err := mime.ParseMediaType(c.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return 0, fault.New(fault.Invalid, "the body is %q, not application/json", fault.Clip(c.Header.Get("Content-Type"))).WithHint("choose application/json in the webhook's settings")
	}
	return maxBody, nil
}

// Take implements Provider.
func (p Pushes) Take(c Call) (note string, err error) {
	h, secret, err := p.find(c.Name)
	if err != nil {
		return "", err
	}
	now := p.Now()
	if err := p.Forge.prove(c, secret, now); err != nil {
		return "", p.Refusals.count(p.Forge.Word(), c.Name, err)
	}
	delivery, changes, note, err := p.Forge.read(c)
	if err != nil {
		return "", err
	}
	if delivery == "" {
		delivery = fmt.Sprintf("sha256:%x", sha256.Sum256(c.Body))
	}
	told, err := tell(h.Name, plain(delivery), changes)
	switch {
	case err != nil:
		return "", err
	case len(told) > maxChanges:
		return "", fault.New(fault.TooLarge, "it tells of %d branches and tags; at most %d are taken", len(told), maxChanges).WithHint("push them in several steps")
	case len(told) == 0 && note == "":
		return "nothing of it is a branch or a tag", nil
	case len(told) == 0:
		return note, nil
	}
	for i := range told {
		told[i].Received = now.UTC()
	}
	repeated, err := p.Received(told)
	if err == nil && repeated {
		note = "this delivery was here before"
	}
	return note, err
}

// find is a hook of this provider with the value of its secret. What is wrong with that is nobody's business outside.
func (p Pushes) find(name string) (h function.Hook, secret []byte, err error) {
	h, err = p.Hook(name)
	if err != nil || h.Provider != p.Forge.Word() {
		return h, nil, fault.New(fault.NotFound, "there is no hook %q of %s", name, p.Forge.Word())
	}
	if secret, err = p.Secret(h.Secret); err != nil {
		return h, nil, fault.New(fault.Unavailable, "the hook %q cannot check requests now", name).WithHint("dalamb hook test %s tells why", name)
	}
	return h, secret, nil
}

// tell makes of changes what is kept, without those of refs that are neither branches nor tags.
func tell(hook, delivery string, changes []change) ([]function.HookTold, error) {
	var told []function.HookTold
	for i, c := range changes {
		if !strings.HasPrefix(c.ref, "refs/heads/") && !strings.HasPrefix(c.ref, "refs/tags/") {
			continue
		}
		if !validRef(c.ref) {
			return nil, fault.New(fault.Invalid, "change %d: %q is no name of a branch or a tag", i, fault.Clip(c.ref))
		}
		one := function.HookReceived{Hook: hook, Delivery: delivery, Ref: c.ref, Before: objectID(c.before), After: objectID(c.after), Forced: c.forced, Pusher: plain(c.pusher)}
		for _, id := range []string{one.Before, one.After} {
			if id != "" && !validID.MatchString(id) {
				return nil, fault.New(fault.Invalid, "change %d: %q is no commit", i, fault.Clip(id))
			}
		}
		told = append(told, function.HookTold{ID: identity(hook, delivery, one.Ref, one.Before, one.After), HookReceived: one})
	}
	return told, nil
}

var validID = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

// objectID is an id as git writes it, whose zeros mean none.
func objectID(id string) string {
	if strings.Trim(id, "0") == "" {
		return ""
	}
	return id
}

// maxRef is in bytes.
const maxRef = 1024

// validRef says whether a ref is spelled as git has them. // git-check-ref-format(1)
func validRef(ref string) bool {
	if len(ref) > maxRef || !utf8.ValidString(ref) || strings.ContainsAny(ref, " ~^:?*[\\") || strings.Contains(ref, "..") || strings.Contains(ref, "@{") || strings.HasSuffix(ref, ".") {
		return false
	}
	if strings.ContainsFunc(ref, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return false
	}
	for part := range strings.SplitSeq(ref, "/") {
		if part == "" || part[0] == '.' || strings.HasSuffix(part, ".lock") {
			return false
		}
	}
	return true
}

// only is the value of a header that must be there once; "" = it is not, or often.
func only(h http.Header, name string) string {
	if values := h.Values(name); len(values) == 1 {
		return values[0]
	}
	return ""
}

func unproved(format string, args ...any) *fault.Error {
	return fault.New(fault.Unauthenticated, format, args...)
}

func wrongSignature() error {
	return unproved("the signature is wrong").WithHint("is the webhook's secret at the provider the same as the one that the hook names?")
}

// admitSigned wants a signature to be there.
func admitSigned(h http.Header, name string) error {
	if only(h, name) == "" {
		return unproved("the request carries no signature, %s", name).WithHint("set a secret in the webhook's settings at the provider")
	}
	return nil
}

// proveBody wants a signature of the body: its HMAC-SHA256 in hexadecimal, RFC 2104.
func proveBody(body, secret []byte, signature string) error {
	got, err := hex.DecodeString(signature)
	if err != nil || !hmac.Equal(got, sum(secret, body)) {
		return wrongSignature()
	}
	return nil
}

func sum(secret []byte, parts ...[]byte) []byte {
	mac := hmac.New(sha256.New, secret)
	for _, p := range parts {
		mac.Write(p)
	}
	return mac.Sum(nil)
}

// equal compares in a time that tells nothing, not even the length.
func equal(a, b []byte) bool {
	x, y := sha256.Sum256(a), sha256.Sum256(b)
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

func decode(what string, body []byte, into any) error {
	if err := json.Unmarshal(body, into); err != nil {
		if fault.KindOf(err) == fault.TooLarge {
			return err
		}
		return fault.New(fault.Invalid, "the body is not what %s sends: %w", what, err).
			WithHint("is the URL of the webhook, with PROVIDER in it, that of who sends? a proxy in between must pass the body on as it is")
	}
	return nil
}

// other is the note of an event that is no push.
func other(kind string) string {
	return fmt.Sprintf("%s: nothing is to be done", plain(fault.Clip(kind)))
}
