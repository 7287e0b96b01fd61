package function

import (
	"encoding/base64"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/dalamb/dalamb/internal/fault"
)

// TopicHooks holds what hooks were told, and what became of it; the key of a record is the hook's name.
const TopicHooks = "_dalamb.hooks"

// Providers of hooks of git servers.
const (
	ProviderGitHub    = "github"
	ProviderGitLab    = "gitlab"
	ProviderBitbucket = "bitbucket"
	ProviderGitea     = "gitea" // and Forgejo
)

// HookProviders are all of them.
func HookProviders() []string {
	return []string{ProviderBitbucket, ProviderGitea, ProviderGitHub, ProviderGitLab}
}

// Hook says from where commits are fetched when a git server tells of a push at /_/hooks/PROVIDER/NAME. Values of secrets are not in it.
type Hook struct {
	Name       string `json:"name" yaml:"name"`
	Provider   string `json:"provider" yaml:"provider" enum:"bitbucket,gitea,github,gitlab"`
	URL        string `json:"url" yaml:"url"`                                   // of the repository: https, http or ssh
	Secret     string `json:"secret" yaml:"secret"`                             // name of the secret that the provider signs with
	Token      string `json:"token,omitempty" yaml:"token,omitempty"`           // name of the secret that opens the repository by https, and the provider's API
	DeployKey  string `json:"deployKey,omitempty" yaml:"deployKey,omitempty"`   // name of the secret that is a private key for ssh
	KnownHosts string `json:"knownHosts,omitempty" yaml:"knownHosts,omitempty"` // lines in the form of sshd(8), of ssh alone
	API        string `json:"api,omitempty" yaml:"api,omitempty"`               // base URL of the provider's API; "" = by the repository's
	NoStatus   bool   `json:"noStatus,omitempty" yaml:"noStatus,omitempty"`     // the provider is not told what came of a commit
}

// Bounds of a hook's settings, in bytes.
const (
	maxHookURL    = 1024
	maxKnownHosts = 16 << 10
)

// Secrets are the names of the secrets that a hook takes, sorted, each once.
func (h *Hook) Secrets() []string {
	var names []string
	for _, name := range []string{h.Secret, h.Token, h.DeployKey} {
		if name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// plainHost leaves out what ssh would take for an option.
var plainHost = regexp.MustCompile(`^([a-zA-Z0-9]([-_.a-zA-Z0-9]*[a-zA-Z0-9])?|\[[0-9a-fA-F:.]+\])$`)

// shortSSH is git's own way to write ssh: USER@HOST:PATH.
var shortSSH = regexp.MustCompile(`^([a-zA-Z0-9][-_.a-zA-Z0-9]*)@([^:/@]+):([^:].*)$`)

// Validate checks a hook and writes its URL in one way. It says the first thing that is wrong, by an error of kind Invalid that begins with the field.
func (h *Hook) Validate() error {
	for _, check := range h.checks() {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// checks are its parts, of which each looks at other fields.
func (h *Hook) checks() []func() error {
	return []func() error{h.checkName, h.checkProvider, h.checkSecrets, h.checkRepository, h.checkAPI}
}

func badField(field, format string, args ...any) *fault.Error {
	return fault.New(fault.Invalid, "%s: "+format, append([]any{field}, args...)...)
}

func (h *Hook) checkName() error {
	if !ValidValueName(h.Name) {
		return badField("name", "%q is no name for a hook", clip(h.Name)).WithHint("a lower-case letter, then letters, digits and inner hyphens, at most 63 characters")
	}
	return nil
}

func (h *Hook) checkProvider() error {
	if h.Provider == "registry" {
		return badField("provider", "a registry's hook needs no settings").WithHint("it takes the token of its own name: dalamb token create %s; docs/images.md", h.Name)
	}
	if !slices.Contains(HookProviders(), h.Provider) {
		missing := fault.Missing("provider of hooks", clip(h.Provider), HookProviders())
		if missing.Hint == "" {
			missing.Hint = "there are " + strings.Join(HookProviders(), ", ") + "; Forgejo is gitea"
		}
		return badField("provider", "%w", missing).WithHint("%s", missing.Hint)
	}
	return nil
}

func (h *Hook) checkSecrets() error {
	if h.Secret == "" {
		return badField("secret", "is missing: without it anybody could tell of pushes").WithHint("make one, and give it to the provider too: dalamb secret set %s-hook", h.Name)
	}
	for _, s := range []struct{ field, name string }{{"secret", h.Secret}, {"token", h.Token}, {"deployKey", h.DeployKey}} {
		if s.name != "" && !ValidValueName(s.name) {
			return badField(s.field, "%q is no name of a secret", clip(s.name)).WithHint("the value is set with dalamb secret set NAME, and is never an argument")
		}
	}
	return nil
}

func (h *Hook) checkRepository() error {
	if m := shortSSH.FindStringSubmatch(h.URL); m != nil && !strings.Contains(h.URL, "://") {
		h.URL = "ssh://" + m[1] + "@" + m[2] + "/" + strings.TrimPrefix(m[3], "/")
	}
	u, err := checkURL("url", h.URL, "https", "http", "ssh")
	if err != nil {
		return err
	}
	if strings.Trim(u.Path, "/") == "" {
		return badField("url", "%q names no repository", h.URL).WithHint("such as https://github.com/acme/shop")
	}
	return h.checkAccess(u)
}

func (h *Hook) checkAPI() error {
	if h.API == "" {
		return nil
	}
	api, err := checkURL("api", h.API, "https", "http")
	if err != nil {
		return err
	}
	if api.User != nil {
		return badField("api", "has a user name in it").WithHint("the token is a secret of its own: --token NAME")
	}
	return nil
}

// checkAccess looks whether what opens the repository fits its URL.
func (h *Hook) checkAccess(u *url.URL) error {
	switch {
	case u.Scheme != "ssh" && u.User != nil:
		return fault.New(fault.Invalid, "url: has a user name in it").WithHint("the token is a secret of its own: --token NAME; where it needs a user name, the secret's value is USER:TOKEN")
	case u.Scheme != "ssh" && (h.DeployKey != "" || h.KnownHosts != ""):
		return fault.New(fault.Invalid, "deployKey: a deploy key opens a repository by ssh, and the url is %s", u.Scheme).WithHint("write the url as ssh://git@HOST/PATH, or take a token")
	case u.Scheme == "ssh" && h.DeployKey == "":
		return fault.New(fault.Invalid, "deployKey: is missing, and the url is ssh").WithHint("make a key with ssh-keygen, give the public half to the provider, and set the other: dalamb secret set %s-key --file FILE", h.Name)
	case u.Scheme == "ssh" && strings.TrimSpace(h.KnownHosts) == "":
		return fault.New(fault.Invalid, "knownHosts: is missing: without it any host could say that it is %s", u.Hostname()).
			WithHint("ssh-keyscan %s > known_hosts, compare it with what the provider publishes, then --known-hosts known_hosts", u.Hostname())
	case len(h.KnownHosts) > maxKnownHosts || strings.ContainsFunc(h.KnownHosts, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }):
		return fault.New(fault.Invalid, "knownHosts: is no text of at most %d KiB", maxKnownHosts>>10)
	case u.Scheme == "ssh" && !namesHosts(h.KnownHosts):
		return fault.New(fault.Invalid, "knownHosts: has no line that is a host and its key").
			WithHint("ssh-keyscan %s > known_hosts, compare it with what the provider publishes, then --known-hosts known_hosts", u.Hostname())
	}
	return nil
}

// namesHosts says whether a text has a line as of sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT". Of what ssh does not understand it takes no notice, so neither
// does this: a kind of keys may be newer than dalamb.
func namesHosts(text string) bool {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) > 0 && strings.HasPrefix(words[0], "@") { // a marker
			words = words[1:]
		}
		if len(words) < 3 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if _, err := base64.StdEncoding.DecodeString(words[2]); err == nil {
			return true
		}
	}
	return false
}

func checkURL(field, text string, schemes ...string) (*url.URL, error) {
	if text == "" {
		return nil, fault.New(fault.Invalid, "%s: is missing", field).WithHint("such as https://github.com/acme/shop")
	}
	wrong := func(why string) error {
		forms := make([]string, len(schemes))
		for i, s := range schemes {
			forms[i] = s + "://HOST/PATH"
		}
		return fault.New(fault.Invalid, "%s: %s", field, why).WithHint("write it as %s", strings.Join(forms, " or "))
	}
	u, err := url.Parse(text)
	switch {
	case len(text) > maxHookURL || err != nil || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return nil, wrong("is no URL")
	case !slices.Contains(schemes, u.Scheme):
		return nil, wrong("is of the kind " + strconv.Quote(clip(u.Scheme)))
	case u.Opaque != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, wrong("has more than a host and a path")
	case !plainHost.MatchString(hostOf(u)):
		return nil, wrong("names no host")
	}
	if password, has := u.User.Password(); has || password != "" {
		return nil, fault.New(fault.Invalid, "%s: has a password in it", field).WithHint("what opens the repository is a secret: --token NAME, or --deploy-key NAME")
	}
	if name := u.User.Username(); u.User != nil && !plainHost.MatchString(name) {
		return nil, wrong("has a strange user name")
	}
	if err := CheckReachable(u.Hostname()); err != nil {
		return nil, fault.New(fault.Invalid, "%s: %w", field, err).WithHint("name the host that the repository is cloned from; docs/webhooks.md says which addresses are refused")
	}
	return u, nil
}

// hostOf is the host with the brackets of an IPv6 address, without the port.
func hostOf(u *url.URL) string { return strings.TrimSuffix(u.Host, ":"+u.Port()) }

// CheckReachable refuses an address that machines of a cloud ask about themselves, and such that are nobody's. Names pass.
func CheckReachable(host string) error {
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return nil
	}
	if ip = ip.Unmap().WithZone(""); ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified() || slices.Contains(cloudAddresses(), ip.String()) {
		return fault.New(fault.Denied, "%s is no address of a git server", ip)
	}
	return nil
}

// cloudAddresses are where machines of a cloud ask about themselves and that are not link-local: of Alibaba, Azure, Oracle, AWS and Google.
func cloudAddresses() []string {
	return []string{"100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"}
}

// Place is where the repository is, for people: the host and the path.
func (h *Hook) Place() string {
	u, err := url.Parse(h.URL)
	if err != nil {
		return h.URL
	}
	return u.Host + "/" + h.Path()
}

// Path is that of the repository on its host, such as acme/shop.
func (h *Hook) Path() string {
	u, err := url.Parse(h.URL)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(strings.Trim(u.Path, "/"), ".git")
}

// HookReceived is the data of a hook.received event: what a git server said of one branch or tag, by a request that showed that it was from
// there.
type HookReceived struct {
	Hook     string    `json:"hook"`
	Delivery string    `json:"delivery"` // as the provider calls it
	Ref      string    `json:"ref"`      // whole
	Before   string    `json:"before,omitempty"`
	After    string    `json:"after,omitempty"` // absent = it is deleted
	Forced   bool      `json:"forced,omitempty"`
	Pusher   string    `json:"pusher,omitempty"`
	Received time.Time `json:"received"`
}

// HookTold is what was told, with the id of its event: a UUID, the same when the same comes again.
type HookTold struct {
	ID string
	HookReceived
}

// Branch is the branch without refs/heads/; false for a tag.
func (r *HookReceived) Branch() (string, bool) { return strings.CutPrefix(r.Ref, "refs/heads/") }

// States of a delivery.
const (
	HookWaiting    = "waiting"
	HookDelivered  = "delivered"
	HookSuperseded = "superseded" // the branch had gone on
	HookRepeated   = "repeated"   // this commit of the branch was delivered before
	HookFailed     = "failed"
)

// HookFinished is the data of a hook.finished event, and of a hook.failed event in the topic events.
type HookFinished struct {
	HookReceived
	ID        string   `json:"id"` // of the hook.received event
	State     string   `json:"state" enum:"waiting,delivered,superseded,repeated,failed"`
	Error     string   `json:"error,omitempty"`
	Hint      string   `json:"hint,omitempty"`
	Said      []string `json:"said,omitempty"` // what git push would have printed
	Functions []string `json:"functions,omitempty"`
	Attempts  int      `json:"attempts"`
}

// HookRefused is what a node has refused of a hook's requests since it started: those that did not show who sent them.
type HookRefused struct {
	Requests int64     `json:"requests"`
	Last     time.Time `json:"last,omitzero"`
	Why      string    `json:"why,omitempty"` // of the last
}

// HookReported is the data of a hook.reported event: the provider was told what came of a commit, or it was given up.
type HookReported struct {
	ID    string `json:"id"` // of the hook.received event
	Error string `json:"error,omitempty"`
}
