package hook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

const (
	sharedSecret  = "abcdefghijklmnopqrstuvwxyz"
	signingSecret = "whsec_dGVzdHRlc3R0ZXN0dGVzdHRlc3R0ZXN0dGVzdHRlc3Q="
)

func testNow() time.Time { return time.Unix(1_800_000_000, 0) }

// inbox is what was received of the hook shop.
type inbox struct {
	secret string
	broken error // of the secret
	full   error // of what receives
	told   []function.HookTold
	seen   map[string]bool
}

func (b *inbox) of(f Forge) Pushes {
	return Pushes{
		Forge: f, Now: testNow,
		Hook: func(name string) (function.Hook, error) {
			if name != "shop" {
				return function.Hook{}, fault.Missing("hook", name, []string{"shop"})
			}
			return function.Hook{Name: name, Provider: f.Word(), Secret: "shop-hook"}, nil
		},
		Secret: func(string) ([]byte, error) { return []byte(b.secret), b.broken },
		Received: func(told []function.HookTold) (bool, error) {
			if b.full != nil {
				return false, b.full
			}
			repeated := b.seen[told[0].ID]
			b.seen[told[0].ID] = true
			b.told = append(b.told, told...)
			return repeated, nil
		},
	}
}

func newInbox() *inbox { return &inbox{secret: sharedSecret, seen: map[string]bool{}} }

func payload(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func hexSum(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// signed is a request as its provider sends it.
func signed(provider, kind string, body []byte) Call {
	h := http.Header{"Content-Type": {"application/json"}}
	set := func(pairs ...string) {
		for i := 0; i < len(pairs); i += 2 {
			h.Set(pairs[i], pairs[i+1])
		}
	}
	switch provider {
	case function.ProviderGitHub:
		set("X-GitHub-Event", kind, "X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958", "X-Hub-Signature-256", "sha256="+hexSum(sharedSecret, body))
	case function.ProviderGitLab:
		set("X-Gitlab-Event", kind, "X-Gitlab-Token", sharedSecret, "Idempotency-Key", "4b5e5dcd-3df9-4ac2-8c41-9ee2de5fa1b5")
	case function.ProviderBitbucket:
		set("X-Event-Key", kind, "X-Request-UUID", "{8b5c9d5e}", "X-Request-Id", "f1c2", "X-Attempt-Number", "1", "X-Hub-Signature", "sha256="+hexSum(sharedSecret, body), "Content-Type", "application/json; charset=utf-8")
	case function.ProviderGitea:
		set("X-Gitea-Event", kind, "X-Gitea-Delivery", "f6266f16-1bf3-46a5-9ea4-602e06ead473", "X-Gitea-Signature", hexSum(sharedSecret, body), "X-Forgejo-Event", kind)
	}
	return Call{Name: "shop", Header: h, Body: body}
}

// standard signs as GitLab's signing token does.
func standard(body []byte, at time.Time) Call {
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(signingSecret, "whsec_")) // it is a constant
	stamp := fmt.Sprint(at.Unix())
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "msg_1.%s.%s", stamp, body)
	c := signed(function.ProviderGitLab, "Push Hook", body)
	c.Header.Del("X-Gitlab-Token")
	for name, value := range map[string]string{"Webhook-Id": "msg_1", "Webhook-Timestamp": stamp, "Webhook-Signature": "v1,AAAA v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))} {
		c.Header.Set(name, value)
	}
	return c
}

func forge(t testing.TB, word string) Forge {
	t.Helper()
	for _, f := range Forges() {
		if f.Word() == word {
			return f
		}
	}
	t.Fatalf("there is no provider %s", word)
	return nil
}

func TestRecordedPushesAreTaken(t *testing.T) {
	at := testNow().UTC()
	one := func(r function.HookReceived) []function.HookReceived {
		r.Hook, r.Received = "shop", at
		return []function.HookReceived{r}
	}
	for _, c := range []struct {
		provider, kind, file string
		want                 []function.HookReceived
	}{
		{"github", "push", "github-push.json", one(function.HookReceived{
			Delivery: "72d3162e-cc78-11e3-81ab-4c9367dc0958", Ref: "refs/heads/main", Before: "6113728f27ae82c7b1a177c8d03f9e96e0adf246",
			After: "59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5", Forced: true, Pusher: "jane",
		})},
		{"github", "push", "github-delete.json", one(function.HookReceived{
			Delivery: "72d3162e-cc78-11e3-81ab-4c9367dc0958", Ref: "refs/heads/feature/x", Before: "59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5", Pusher: "jane",
		})},
		{"gitlab", "Push Hook", "gitlab-push.json", one(function.HookReceived{
			Delivery: "4b5e5dcd-3df9-4ac2-8c41-9ee2de5fa1b5", Ref: "refs/heads/master", Before: "95790bf891e76fee5e1747ab589903a6a1f80f22",
			After: "da1560886d4f094c3e6c9ef40349f7d38b5d27d7", Pusher: "jsmith",
		})},
		{"gitlab", "Tag Push Hook", "gitlab-tag.json", one(function.HookReceived{
			Delivery: "4b5e5dcd-3df9-4ac2-8c41-9ee2de5fa1b5", Ref: "refs/tags/v1.0.0", After: "82b3d5ae55f7080f1e6022629cdb57bfae7cccc7", Pusher: "jsmith",
		})},
		{"gitea", "push", "gitea-push.json", one(function.HookReceived{
			Delivery: "f6266f16-1bf3-46a5-9ea4-602e06ead473", Ref: "refs/heads/develop", Before: "28e1879d029cb852e4844d9c718537df08844e03",
			After: "bffeb74224043ba2feb48d137756c8a9331c449a", Pusher: "gitea",
		})},
		{"gitea", "delete", "gitea-delete.json", one(function.HookReceived{Delivery: "f6266f16-1bf3-46a5-9ea4-602e06ead473", Ref: "refs/heads/feature/x", Pusher: "gitea"})},
		{"github", "push", "github-tag.json", one(function.HookReceived{
			Delivery: "72d3162e-cc78-11e3-81ab-4c9367dc0958", Ref: "refs/tags/v1.0.0", After: "82b3d5ae55f7080f1e6022629cdb57bfae7cccc7", Pusher: "jane",
		})},
		{"github", "push", "github-tag-delete.json", one(function.HookReceived{
			Delivery: "72d3162e-cc78-11e3-81ab-4c9367dc0958", Ref: "refs/tags/v1.0.0", Before: "82b3d5ae55f7080f1e6022629cdb57bfae7cccc7", Pusher: "jane",
		})},
		{"gitlab", "Push Hook", "gitlab-force.json", one(function.HookReceived{ // it says nothing of a force
			Delivery: "4b5e5dcd-3df9-4ac2-8c41-9ee2de5fa1b5", Ref: "refs/heads/master", Before: "95790bf891e76fee5e1747ab589903a6a1f80f22",
			After: "0b3fd51ec16ce4cbbe5d40ba1d3b4d3bb9b8f3c1", Pusher: "jsmith",
		})},
		{"gitlab", "Push Hook", "gitlab-delete.json", one(function.HookReceived{
			Delivery: "4b5e5dcd-3df9-4ac2-8c41-9ee2de5fa1b5", Ref: "refs/heads/feature/x", Before: "da1560886d4f094c3e6c9ef40349f7d38b5d27d7", Pusher: "jsmith",
		})},
		{"gitlab", "Tag Push Hook", "gitlab-tag-delete.json", one(function.HookReceived{
			Delivery: "4b5e5dcd-3df9-4ac2-8c41-9ee2de5fa1b5", Ref: "refs/tags/v1.0.0", Before: "82b3d5ae55f7080f1e6022629cdb57bfae7cccc7", Pusher: "jsmith",
		})},
		{"gitea", "push", "gitea-tag.json", one(function.HookReceived{
			Delivery: "f6266f16-1bf3-46a5-9ea4-602e06ead473", Ref: "refs/tags/v1.0.0", After: "bffeb74224043ba2feb48d137756c8a9331c449a", Pusher: "gitea",
		})},
		{"gitea", "push", "gitea-force.json", one(function.HookReceived{ // nor does this
			Delivery: "f6266f16-1bf3-46a5-9ea4-602e06ead473", Ref: "refs/heads/develop", Before: "bffeb74224043ba2feb48d137756c8a9331c449a",
			After: "3b1a8f3fd0c8c7e9e2c5d3a0d4a7f6d2f1c0b9e8", Pusher: "gitea",
		})},
		{"gitea", "delete", "gitea-tag-delete.json", one(function.HookReceived{Delivery: "f6266f16-1bf3-46a5-9ea4-602e06ead473", Ref: "refs/tags/v1.0.0", Pusher: "gitea"})},
		{"bitbucket", "repo:push", "bitbucket-push.json", []function.HookReceived{
			{Hook: "shop", Received: at, Delivery: "{8b5c9d5e}", Ref: "refs/heads/main", Before: "1e65c05c1d5171631d92438a13901ca7dae9618c", After: "709d658dc5b6d6afcd46049c2f332ee3f515a67d", Pusher: "jane"},
			{Hook: "shop", Received: at, Delivery: "{8b5c9d5e}", Ref: "refs/tags/v1", After: "709d658dc5b6d6afcd46049c2f332ee3f515a67d", Pusher: "jane"},
			{Hook: "shop", Received: at, Delivery: "{8b5c9d5e}", Ref: "refs/heads/feature/x", Before: "1e65c05c1d5171631d92438a13901ca7dae9618c", Pusher: "jane"},
		}},
		{"bitbucket", "repo:refs_changed", "bitbucket-datacenter-push.json", []function.HookReceived{
			{Hook: "shop", Received: at, Delivery: "f1c2", Ref: "refs/heads/main", Before: "ecddabb624f6f5ba43816f5926e580a5f680a932", After: "178864a7d521b6f5e720b386b2c2b0ef8563e0dc", Pusher: "jane"},
			{Hook: "shop", Received: at, Delivery: "f1c2", Ref: "refs/heads/feature/x", Before: "ecddabb624f6f5ba43816f5926e580a5f680a932", Pusher: "jane"},
		}},
	} {
		b := newInbox()
		p := b.of(forge(t, c.provider))
		for i, want := range []string{"", "this delivery was here before"} {
			if note, err := take(p, signed(c.provider, c.kind, payload(t, c.file))); err != nil || note != want {
				t.Errorf("%s, time %d: %q, %v", c.file, i+1, note, err)
			}
		}
		var got []function.HookReceived
		for i, one := range b.told[:len(b.told)/2] {
			got = append(got, one.HookReceived)
			if again := b.told[len(b.told)/2+i]; one.ID != again.ID || len(one.ID) != 36 {
				t.Errorf("%s: the same has the ids %s and %s", c.file, one.ID, again.ID)
			}
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: told\n%+v\nwant\n%+v", c.file, got, c.want)
		}
	}
}

func TestOtherEventsAreNothingToDo(t *testing.T) {
	for provider, kind := range map[string]string{"github": "ping", "gitlab": "Issue Hook", "bitbucket": "repo:fork", "gitea": "create"} {
		b := newInbox()
		note, err := take(b.of(forge(t, provider)), signed(provider, kind, payload(t, "github-ping.json")))
		if err != nil || note != kind+": nothing is to be done" || len(b.told) > 0 {
			t.Errorf("%s of %s: %q, %v, told %v", kind, provider, note, err, b.told)
		}
	}
	b := newInbox()
	note, err := take(b.of(github{}), signed("github", "push", []byte(`{"ref":"refs/pull/1/head","after":"59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5"}`)))
	if err != nil || note != "nothing of it is a branch or a tag" || len(b.told) > 0 {
		t.Errorf("a push of another ref: %q, %v", note, err)
	}
}

func TestBadDeliveries(t *testing.T) {
	body := payload(t, "github-push.json")
	changed := func(c Call, edit func(*Call)) Call {
		edit(&c)
		return c
	}
	header := func(name, value string) func(*Call) { return func(c *Call) { c.Header.Set(name, value) } }
	without := func(name string) func(*Call) { return func(c *Call) { c.Header.Del(name) } }
	push := func(text string) Call { return signed("github", "push", []byte(text)) }
	gitlabBody := payload(t, "gitlab-push.json")
	hub := "X-Hub-Signature-256"
	for _, c := range []struct {
		name, provider string
		call           Call
		secret         string
		kind           fault.Kind
		says           string
	}{
		{"no signature", "github", changed(push(string(body)), without(hub)), "", fault.Unauthenticated, "carries no signature, X-Hub-Signature-256"},
		{"two signatures", "github", changed(push(string(body)), func(c *Call) { c.Header.Add(hub, c.Header.Get(hub)) }), "", fault.Unauthenticated, "carries no signature"},
		{"SHA-1", "github", changed(push(string(body)), header(hub, "sha1=7d38cdd689735b008b3c702edd92eea23791c5f6")), "", fault.Unauthenticated, "signature is wrong"},
		{"no hexadecimal", "github", changed(push(string(body)), header(hub, "sha256=zz")), "", fault.Unauthenticated, "signature is wrong"},
		{"the beginning of it", "github", changed(push(string(body)), func(c *Call) { c.Header.Set(hub, c.Header.Get(hub)[:20]) }), "", fault.Unauthenticated, "signature is wrong"},
		{"another secret", "github", push(string(body)), "another", fault.Unauthenticated, "signature is wrong"},
		{"another body", "github", changed(push(string(body)), func(c *Call) { c.Body = append([]byte(" "), c.Body...) }), "", fault.Unauthenticated, "signature is wrong"},
		{"a ping by a stranger", "github", signed("github", "ping", body), "another", fault.Unauthenticated, "signature is wrong"},
		{"a form", "github", changed(push(string(body)), header("Content-Type", "application/x-www-form-urlencoded")), "", fault.Invalid, "choose application/json"},
		{"an unknown hook", "github", changed(push(string(body)), func(c *Call) { c.Name = "toys" }), "", fault.NotFound, `there is no hook "toys" of github`},
		{"not JSON", "github", push("payload=1"), "", fault.Invalid, "not what GitHub sends"},
		{"not JSON, and what to do", "github", push("payload=1"), "", fault.Invalid, "is the URL of the webhook"},
		{"a ref like an option", "github", push(`{"ref":"refs/heads/../../x","after":"59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5"}`), "", fault.Invalid, "is no name of a branch"},
		{"no commit", "github", push(`{"ref":"refs/heads/main","after":"--upload-pack=sh"}`), "", fault.Invalid, `"--upload-pack=sh" is no commit`},
		{"no GitLab token", "gitlab", changed(signed("gitlab", "Push Hook", gitlabBody), without("X-Gitlab-Token")), "", fault.Unauthenticated, "carries no token, X-Gitlab-Token"},
		{"a wrong GitLab token", "gitlab", signed("gitlab", "Push Hook", gitlabBody), "another", fault.Unauthenticated, "the token is wrong"},
		{"the signing token in clear", "gitlab", changed(signed("gitlab", "Push Hook", gitlabBody), header("X-Gitlab-Token", signingSecret)), signingSecret, fault.Unauthenticated, "carries no signature, Webhook-Signature"},
		{"an old signature", "gitlab", standard(gitlabBody, testNow().Add(-6*time.Minute)), signingSecret, fault.Unauthenticated, "signed more than 5m0s from now"},
		{"one of tomorrow", "gitlab", standard(gitlabBody, testNow().Add(6*time.Minute)), signingSecret, fault.Unauthenticated, "signed more than 5m0s from now"},
		{"another timestamp", "gitlab", changed(standard(gitlabBody, testNow()), header("Webhook-Timestamp", "1800000001")), signingSecret, fault.Unauthenticated, "signature is wrong"},
		{"another id", "gitlab", changed(standard(gitlabBody, testNow()), header("Webhook-Id", "msg_2")), signingSecret, fault.Unauthenticated, "signature is wrong"},
		{"a signing token that is none", "gitlab", standard(gitlabBody, testNow()), "whsec_%", fault.Unauthenticated, "signing token is none"},
		{"Bitbucket, another secret", "bitbucket", signed("bitbucket", "repo:push", payload(t, "bitbucket-push.json")), "another", fault.Unauthenticated, "signature is wrong"},
		{"Gitea, another secret", "gitea", signed("gitea", "push", payload(t, "gitea-push.json")), "another", fault.Unauthenticated, "signature is wrong"},
		{"Gitea, no signature", "gitea", changed(signed("gitea", "push", payload(t, "gitea-push.json")), without("X-Gitea-Signature")), "", fault.Unauthenticated, "carries no signature"},
		{"too many changes", "bitbucket", signed("bitbucket", "repo:push", []byte(`{"push":{"changes":[`+strings.Repeat(`{"new":{"name":"a"}},`, maxChanges)+`{"new":{"name":"a"}}]}}`)), "", fault.TooLarge, "101 branches and tags"},
		{"an array for a machine's memory", "bitbucket", signed("bitbucket", "repo:push", []byte(`{"push":{"changes":[`+strings.Repeat(`{},`, 1<<20)+`{}]}}`)), "", fault.TooLarge, "more than 1000 things"},
		{"an array that is none", "bitbucket", signed("bitbucket", "repo:push", []byte(`{"push":{"changes":7}}`)), "", fault.Invalid, "not what Bitbucket sends"},
	} {
		b := newInbox()
		if c.secret != "" {
			b.secret = c.secret
		}
		_, err := take(b.of(forge(t, c.provider)), c.call)
		if fault.KindOf(err) != c.kind || !strings.Contains(fmt.Sprint(err)+fault.HintOf(err), c.says) {
			t.Errorf("%s: Take = %v (%s), want %v %q", c.name, err, fault.HintOf(err), c.kind, c.says)
		}
		if err != nil && strings.Contains(err.Error(), b.secret) || len(b.told) > 0 {
			t.Errorf("%s: %v, told %v", c.name, err, b.told)
		}
	}
	b := newInbox()
	b.secret = signingSecret
	if note, err := take(b.of(gitlab{}), standard(gitlabBody, testNow().Add(-4*time.Minute))); err != nil || note != "" || b.told[0].Delivery != "msg_1" {
		t.Errorf("a good signature: %q, %v, told %v", note, err, b.told)
	}
	b.full = errors.New("the log is away")
	if _, err := take(b.of(gitlab{}), standard(gitlabBody, testNow())); !errors.Is(err, b.full) {
		t.Errorf("Take = %v, want what went wrong", err)
	}
	b.broken = errors.New("encrypted for age1xyz")
	if _, err := take(b.of(gitlab{}), standard(gitlabBody, testNow())); fault.KindOf(err) != fault.Unavailable || strings.Contains(err.Error(), "age1") {
		t.Errorf("Take = %v, want nothing of what is wrong with the secret", err)
	}
}

func TestRefs(t *testing.T) {
	for ref, want := range map[string]bool{
		"refs/heads/main": true, "refs/heads/feature/x": true, "refs/heads/ä": true, "refs/heads/-x": true, "refs/tags/v1.0": true,
		"refs/heads/": false, "refs/heads//x": false, "refs/heads/x.lock": false, "refs/heads/.x": false, "refs/heads/x..y": false, "refs/heads/x.": false,
		"refs/heads/a b": false, "refs/heads/a\nb": false, "refs/heads/a:b": false, "refs/heads/a^": false, "refs/heads/a*": false, "refs/heads/@{": false,
		"refs/heads/\xff": false, "refs/heads/" + strings.Repeat("x", maxRef): false,
	} {
		if got := validRef(ref); got != want {
			t.Errorf("validRef(%q) = %v, want %v", ref, got, want)
		}
	}
}

// Whatever is sent, and signed, what is taken is well spelled; nothing that is not signed is taken.
func FuzzPushes(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		f.Add(payload(f, filepath.Base(name)), "delivery")
	}
	f.Add([]byte(`{"push":{"changes":[{"new":{"type":"branch","name":"\u0000"}},{}]}}`), "\xff\n")
	f.Add([]byte(`{"ref":"refs/heads/x","after":null,"pusher":{"name":"\ud800"}}`), "")
	kinds := map[string][]string{"github": {"push"}, "gitlab": {"Push Hook"}, "bitbucket": {"repo:push", "repo:refs_changed"}, "gitea": {"push", "delete"}}
	f.Fuzz(func(t *testing.T, body []byte, delivery string) {
		for _, forge := range Forges() {
			for _, kind := range kinds[forge.Word()] {
				b := newInbox()
				c := signed(forge.Word(), kind, body)
				c.Header["X-Github-Delivery"] = []string{delivery}
				if _, err := take(b.of(forge), c); err != nil && len(b.told) > 0 {
					t.Errorf("Take = %v after it took %+v", err, b.told)
				}
				for _, one := range b.told {
					branch, tag := strings.HasPrefix(one.Ref, "refs/heads/"), strings.HasPrefix(one.Ref, "refs/tags/")
					if !branch && !tag || !validRef(one.Ref) || one.Pusher != plain(one.Pusher) || one.Delivery != plain(one.Delivery) || one.Delivery == "" ||
						one.After != "" && !validID.MatchString(one.After) || one.Before != "" && !validID.MatchString(one.Before) {
						t.Errorf("it took %+v", one)
					}
				}
				b.told, b.secret = nil, "another"
				if _, err := take(b.of(forge), c); fault.KindOf(err) != fault.Unauthenticated || len(b.told) > 0 {
					t.Errorf("Take of a stranger = %v, told %v", err, b.told)
				}
			}
		}
	})
}

// What shows nothing of who sends it is counted for its hook, where there is one.
func TestRefusalsAreCounted(t *testing.T) {
	registry := prometheus.NewRegistry()
	counted, err := NewRefusals(registry, testNow)
	if err != nil {
		t.Fatal(err)
	}
	b := newInbox()
	b.secret = "another"
	p := b.of(github{})
	p.Refusals = counted
	body := payload(t, "github-push.json")
	unknown := signed("github", "push", body)
	unknown.Name = "toys"
	unsigned := signed("github", "push", body)
	unsigned.Header.Del(githubSignature)
	for _, c := range []Call{unknown, unsigned, signed("github", "push", body)} {
		if _, err := take(p, c); err == nil {
			t.Error("it was taken")
		}
	}
	b.secret = sharedSecret
	if _, err := take(p, signed("github", "push", body)); err != nil {
		t.Error(err)
	}
	if got, want := counted.Refused("shop"), (function.HookRefused{Requests: 2, Last: testNow().UTC(), Why: "the signature is wrong"}); got != want {
		t.Errorf("Refused = %+v, want %+v", got, want)
	}
	if got := counted.Refused("toys"); got.Requests != 0 {
		t.Errorf("of a hook that there is not: %+v", got)
	}
	r := (&taken{}).registry()
	r.Refusals = counted
	if _, err := r.Admit(from("", "")); fault.KindOf(err) != fault.Unauthenticated {
		t.Errorf("Admit = %v", err)
	}
	families, err := registry.Gather()
	if err != nil || len(families) != 1 || len(families[0].GetMetric()) != 2 {
		t.Errorf("counters %v, %v, want one of the hook and one of registries", families, err)
	}
}
