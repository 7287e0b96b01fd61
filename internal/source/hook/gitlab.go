package hook

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// gitlab is GitLab. Its secret token is sent as it is; its signing token, which begins with whsec_, signs as Standard Webhooks has it.
// // docs.gitlab.com: "Webhooks", "Webhook events"; standardwebhooks.com, specification 1.0
type gitlab struct{}

func (gitlab) Word() string { return function.ProviderGitLab }

const (
	gitlabToken     = "X-Gitlab-Token"
	gitlabSignature = "Webhook-Signature"
	signingPrefix   = "whsec_"
	// maxAge is how far a timestamp may be from now, either way.
	maxAge = 5 * time.Minute
)

func (gitlab) admit(h http.Header, secret []byte) error {
	if strings.HasPrefix(string(secret), signingPrefix) {
		return admitSigned(h, gitlabSignature)
	}
	switch token := only(h, gitlabToken); {
	case token == "":
		return unproved("the request carries no token, %s", gitlabToken).WithHint("set a secret token in the webhook's settings at GitLab")
	case !equal([]byte(token), secret):
		return unproved("the token is wrong").WithHint("is the webhook's secret token at GitLab the same as the one that the hook names?")
	}
	return nil
}

func (g gitlab) prove(c Call, secret []byte, now time.Time) error {
	encoded, signed := strings.CutPrefix(string(secret), signingPrefix)
	if !signed {
		return g.admit(c.Header, secret)
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(key) == 0 {
		return unproved("the hook's signing token is none").WithHint("GitLab shows it once, as %s and base64", signingPrefix)
	}
	id, stamp := only(c.Header, "Webhook-Id"), only(c.Header, "Webhook-Timestamp")
	want := sum(key, []byte(id+"."+stamp+"."), c.Body)
	proved := false
	for one := range strings.FieldsSeq(only(c.Header, gitlabSignature)) {
		version, text, _ := strings.Cut(one, ",")
		got, err := base64.StdEncoding.DecodeString(text)
		proved = proved || version == "v1" && err == nil && equal(got, want)
	}
	if id == "" || !proved {
		return wrongSignature()
	}
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return unproved("the timestamp is none")
	}
	if age := now.Sub(time.Unix(seconds, 0)); age > maxAge || age < -maxAge {
		return unproved("the request was signed more than %s from now", maxAge).WithHint("is the clock of one of the machines wrong? A request that is kept and sent again later is not taken")
	}
	return nil
}

type gitlabPush struct {
	Ref      string `json:"ref"`
	Before   string `json:"before"`
	After    string `json:"after"`
	Username string `json:"user_username"`
}

func (gitlab) read(c Call) (delivery string, changes []change, note string, err error) {
	for _, name := range []string{"Webhook-Id", "Idempotency-Key", "X-Gitlab-Event-UUID"} { // the first two are the same when it comes again
		if delivery = only(c.Header, name); delivery != "" {
			break
		}
	}
	switch kind := only(c.Header, "X-Gitlab-Event"); kind {
	case "Push Hook", "Tag Push Hook":
	default:
		return delivery, nil, other(kind), nil
	}
	var p gitlabPush
	if err := decode("GitLab", c.Body, &p); err != nil {
		return "", nil, "", err
	}
	return delivery, []change{{ref: p.Ref, before: p.Before, after: p.After, pusher: p.Username}}, "", nil
}
