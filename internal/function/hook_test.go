package function

import (
	"slices"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
)

const testHosts = "git.example ssh-ed25519 AAAA\n"

func TestGoodHooks(t *testing.T) {
	for _, c := range []struct {
		hook             Hook
		url, place, path string
	}{
		{Hook{URL: "https://github.com/acme/shop.git"}, "https://github.com/acme/shop.git", "github.com/acme/shop", "acme/shop"},
		{Hook{URL: "http://127.0.0.1:3000/acme/shop/"}, "http://127.0.0.1:3000/acme/shop/", "127.0.0.1:3000/acme/shop", "acme/shop"},
		{Hook{URL: "git@git.example:acme/shop.git", DeployKey: "key", KnownHosts: testHosts}, "ssh://git@git.example/acme/shop.git", "git.example/acme/shop", "acme/shop"},
		{Hook{URL: "ssh://git@[::1]:2222/shop", DeployKey: "key", KnownHosts: testHosts}, "ssh://git@[::1]:2222/shop", "[::1]:2222/shop", "shop"},
	} {
		h := c.hook
		h.Name, h.Provider, h.Secret = "shop", ProviderGitea, "shop-hook"
		if err := h.Validate(); err != nil || h.URL != c.url || h.Place() != c.place || h.Path() != c.path {
			t.Errorf("%s: %v; URL %s, Place %s, Path %s", c.hook.URL, err, h.URL, h.Place(), h.Path())
		}
		before := h
		if err := h.Validate(); err != nil || h != before {
			t.Errorf("%s validated twice: %v, %+v", c.hook.URL, err, h)
		}
	}
	h := Hook{Secret: "b", Token: "a", DeployKey: "b"}
	if got := h.Secrets(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("Secrets() = %q", got)
	}
}

func TestBadHooks(t *testing.T) {
	good := Hook{Name: "shop", Provider: ProviderGitHub, URL: "https://github.com/acme/shop", Secret: "shop-hook"}
	for name, c := range map[string]struct {
		change func(*Hook)
		says   string
	}{
		"name":                  {func(h *Hook) { h.Name = "../shop" }, `name: "../shop" is no name for a hook`},
		"provider":              {func(h *Hook) { h.Provider = "githib" }, "did you mean github"},
		"another provider":      {func(h *Hook) { h.Provider = "foo" }, "there are bitbucket, gitea, github, gitlab; Forgejo is gitea"},
		"registry":              {func(h *Hook) { h.Provider = "registry" }, "dalamb token create shop"},
		"no secret":             {func(h *Hook) { h.Secret = "" }, "secret: is missing"},
		"a secret's value":      {func(h *Hook) { h.Secret = "S3cret value" }, "is no name of a secret"},
		"no URL":                {func(h *Hook) { h.URL = "" }, "url: is missing"},
		"a path":                {func(h *Hook) { h.URL = "/srv/git/shop" }, "url: is of the kind"},
		"what a URL is":         {func(h *Hook) { h.URL = "shop" }, "write it as https://HOST/PATH or http://HOST/PATH or ssh://HOST/PATH"},
		"where it may lead":     {func(h *Hook) { h.URL = "http://169.254.169.254/latest" }, "name the host that the repository is cloned from"},
		"a file":                {func(h *Hook) { h.URL = "file:///srv/git/shop" }, `url: is of the kind "file"`},
		"a helper":              {func(h *Hook) { h.URL = "ext::sh -c id" }, "url: is no URL"},
		"another helper":        {func(h *Hook) { h.URL = "ext::sh" }, `url: is of the kind "ext"`},
		"an option as host":     {func(h *Hook) { h.URL = "ssh://-oProxyCommand=id/x" }, "url: names no host"},
		"an option as user":     {func(h *Hook) { h.URL = "ssh://-l@git.example/x" }, "strange user name"},
		"no host":               {func(h *Hook) { h.URL = "https:///acme/shop" }, "url: names no host"},
		"no repository":         {func(h *Hook) { h.URL = "https://github.com/" }, "names no repository"},
		"a password":            {func(h *Hook) { h.URL = "https://jane:t0ken@github.com/acme/shop" }, "url: has a password in it"},
		"a user":                {func(h *Hook) { h.URL = "https://t0ken@github.com/acme/shop" }, "url: has a user name in it"},
		"a query":               {func(h *Hook) { h.URL = "https://github.com/acme/shop?x=1" }, "more than a host and a path"},
		"a line":                {func(h *Hook) { h.URL = "https://github.com/acme/shop\nx" }, "url: is no URL"},
		"the cloud's address":   {func(h *Hook) { h.URL = "http://169.254.169.254/latest" }, "169.254.169.254 is no address of a git server"},
		"another cloud's":       {func(h *Hook) { h.URL = "http://100.100.100.200/latest" }, "100.100.100.200 is no address of a git server"},
		"its own in IPv6":       {func(h *Hook) { h.URL = "http://[fd00:ec2:0::254]/latest" }, "fd00:ec2::254 is no address of a git server"},
		"the cloud's, in IPv6":  {func(h *Hook) { h.URL = "http://[::ffff:169.254.169.254]/latest" }, "169.254.169.254 is no address"},
		"nobody's address":      {func(h *Hook) { h.URL = "http://0.0.0.0/x" }, "0.0.0.0 is no address"},
		"a long URL":            {func(h *Hook) { h.URL = "https://github.com/" + strings.Repeat("x", maxHookURL) }, "url: is no URL"},
		"a key for https":       {func(h *Hook) { h.DeployKey = "key" }, "a deploy key opens a repository by ssh"},
		"ssh without key":       {func(h *Hook) { h.URL = "ssh://git@git.example/x" }, "deployKey: is missing"},
		"ssh without hosts":     {func(h *Hook) { h.URL, h.DeployKey = "ssh://git@git.example/x", "key" }, "ssh-keyscan git.example"},
		"hosts without a key":   {func(h *Hook) { h.URL, h.DeployKey, h.KnownHosts = "ssh://git@git.example/x", "key", "a b !" }, "knownHosts: has no line"},
		"hosts that are binary": {func(h *Hook) { h.URL, h.DeployKey, h.KnownHosts = "ssh://git@git.example/x", "key", "a\x00b" }, "knownHosts: is no text"},
		"an API by ftp":         {func(h *Hook) { h.API = "ftp://api.github.com" }, `api: is of the kind "ftp"`},
		"an API with a user":    {func(h *Hook) { h.API = "https://t0ken@api.github.com" }, "api: has a user name"},
	} {
		h := good
		c.change(&h)
		err := h.Validate()
		if err == nil || !strings.Contains(err.Error()+" "+fault.HintOf(err), c.says) || strings.Contains(err.Error(), "t0ken") {
			t.Errorf("%s: Validate = %v (%s), want %q", name, err, fault.HintOf(err), c.says)
		}
	}
	if err := good.Validate(); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

// Whatever is given, what is accepted is written in one way, and names a host and a path.
func FuzzHookURL(f *testing.F) {
	for _, seed := range []string{"https://github.com/acme/shop", "git@github.com:acme/shop.git", "ssh://git@[::1]:22/x", "ext::sh -c id", "a@b:c", "a@b://c", "ssh://a@b:c/d", "http://%00/x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		h := Hook{Name: "shop", Provider: ProviderGitHub, URL: text, Secret: "s"}
		if strings.HasPrefix(text, "ssh:") || shortSSH.MatchString(text) && !strings.Contains(text, "://") {
			h.DeployKey, h.KnownHosts = "key", testHosts
		}
		if h.Validate() != nil {
			return
		}
		again := h
		if err := again.Validate(); err != nil || again != h {
			t.Errorf("%q is %q, and validated again %q: %v", text, h.URL, again.URL, err)
		}
		if scheme, _, _ := strings.Cut(h.URL, "://"); !slices.Contains([]string{"http", "https", "ssh"}, scheme) || strings.ContainsAny(h.URL, " \n\x00") {
			t.Errorf("%q is accepted as %q", text, h.URL)
		}
	})
}
