package incoming

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

func TestEachProviderIsToldInItsWay(t *testing.T) {
	for _, c := range []struct {
		provider, url, token string
		want                 string
	}{
		{"github", "https://github.com/acme/shop", "t0ken", `POST /repos/acme/shop/statuses/aa Bearer t0ken {"context":"dalamb","description":"pay version 2 (live)","state":"success"}`},
		{"gitlab", "ssh://git@gitlab.com/acme/web/shop.git", "t0ken", `POST /projects/acme%2Fweb%2Fshop/statuses/aa t0ken {"description":"pay version 2 (live)","name":"dalamb","state":"success"}`},
		{"bitbucket", "https://bitbucket.org/acme/shop.git", "t0ken", `POST /repositories/acme/shop/commit/aa/statuses/build Bearer t0ken {"description":"pay version 2 (live)","key":"dalamb","name":"dalamb","state":"SUCCESSFUL","url":"https://bitbucket.org/acme/shop/commits/aa"}`},
		{"bitbucket", "https://bitbucket.org/acme/shop", "jane:pass", `POST /repositories/acme/shop/commit/aa/statuses/build Basic amFuZTpwYXNz {"description":"pay version 2 (live)","key":"dalamb","name":"dalamb","state":"SUCCESSFUL","url":"https://bitbucket.org/acme/shop/commits/aa"}`},
		{"bitbucket", "https://git.example/bitbucket/scm/ACME/shop.git", "t0ken", `POST /projects/ACME/repos/shop/commits/aa/builds Bearer t0ken {"description":"pay version 2 (live)","key":"dalamb","name":"dalamb","state":"SUCCESSFUL","url":"https://git.example/bitbucket/projects/ACME/repos/shop/commits/aa"}`},
		{"bitbucket", "ssh://git@git.example:7999/acme/shop.git", "t0ken", `POST /projects/acme/repos/shop/commits/aa/builds Bearer t0ken {"description":"pay version 2 (live)","key":"dalamb","name":"dalamb","state":"SUCCESSFUL","url":"https://git.example/projects/acme/repos/shop/commits/aa"}`},
		{"gitea", "http://git.example:3000/acme/shop.git", "t0ken", `POST /repos/acme/shop/statuses/aa token t0ken {"context":"dalamb","description":"pay version 2 (live)","state":"success"}`},
	} {
		w := newWorld(t)
		w.secrets["shop-token"] = c.token
		w.hook(func(h *function.Hook) {
			h.Provider, h.URL = c.provider, c.url
			if strings.HasPrefix(c.url, "ssh:") {
				h.DeployKey, h.KnownHosts = "shop-hook", "gitlab.com ssh-ed25519 AAAA"
			}
		})
		w.begin()
		w.receive(told("1", "aa"))
		w.reported(1)
		if got := w.forge.all(); len(got) != 2 || got[1] != c.want {
			t.Errorf("%s was told\n%q\nwant last\n%q", c.provider, got, c.want)
		}
	}
}

func TestADescriptionSaysWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		"one line": "one line",
		"web version 2 cannot be taken\nfor a reason":                                                "web version 2 cannot be taken",
		"main 5c36bc8c1739 cannot be delivered:\ndalamb.yaml:3:1: timout: unknown field\nx.yaml:1:1": "main 5c36bc8c1739 cannot be delivered: dalamb.yaml:3:1: timout: unknown field",
		"nothing follows:": "nothing follows:",
	} {
		if got := describe(&function.HookFinished{State: function.HookFailed, Error: text}); got != want {
			t.Errorf("describe(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestWhereTheAPIIs(t *testing.T) {
	for _, c := range []struct{ provider, url, api, want string }{
		{"github", "https://github.com/acme/shop", "", "https://api.github.com"},
		{"github", "ssh://git@github.com/acme/shop.git", "", "https://api.github.com"},
		{"github", "https://git.example/acme/shop", "", "https://git.example/api/v3"},
		{"gitlab", "ssh://git@gitlab.example:2222/acme/shop", "", "https://gitlab.example/api/v4"},
		{"bitbucket", "https://bitbucket.org/acme/shop", "", "https://api.bitbucket.org/2.0"},
		{"bitbucket", "ssh://git@bitbucket.org/acme/shop.git", "", "https://api.bitbucket.org/2.0"},
		{"bitbucket", "https://git.example:8443/scm/acme/shop.git", "", "https://git.example:8443/rest/api/latest"},
		{"bitbucket", "https://git.example/bitbucket/scm/acme/shop.git", "", "https://git.example/bitbucket/rest/api/latest"},
		{"gitea", "http://127.0.0.1:3000/acme/shop", "", "http://127.0.0.1:3000/api/v1"},
		{"gitea", "http://127.0.0.1:3000/acme/shop", "https://forge.example/api/v1/", "https://forge.example/api/v1"},
	} {
		if got := apiOf(&function.Hook{Provider: c.provider, URL: c.url, API: c.api}); got != c.want {
			t.Errorf("the API of %s at %s is %s, want %s", c.provider, c.url, got, c.want)
		}
	}
}

func TestATokenGoesNowhereElse(t *testing.T) {
	asked := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer other.Close()
	web := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer web.Close()
	h := &function.Hook{Name: "shop", Provider: "github", URL: "https://git.example/acme/shop", Token: "shop-token"}
	for _, c := range []struct{ api, says string }{
		{web.URL, "answers 307"}, {"http://169.254.169.254", "169.254.169.254 is no address of a git server"}, {"http://[fe80::1]", "is no address of a git server"},
	} {
		h.API = c.api
		f := &forge{client: newClient(), hook: h, token: "t0ken"}
		if err := f.tell(context.Background(), "aa", function.HookDelivered, "x"); err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "t0ken") {
			t.Errorf("tell %s = %v, want %q", c.api, err, c.says)
		}
	}
	if asked {
		t.Error("a redirect was followed")
	}
}

// A key that ssh could not read is told when the hook is set, and by its test.
func TestAKeyThatIsNone(t *testing.T) {
	w := newWorld(t)
	w.secrets["shop-key"] = "hello"
	w.submit(catalog.SetSecret{Name: "shop-key"})
	w.hook(func(h *function.Hook) {
		h.URL, h.Token, h.DeployKey, h.KnownHosts = "ssh://git@git.example/acme/shop.git", "", "shop-key", "git.example ssh-ed25519 AAAA"
	})
	h, err := w.keeper.o.Catalog.View().Hook("shop")
	w.ok(err)
	const says = `the secret "shop-key" is no private key`
	if err := w.keeper.Opens(&h.Hook); fault.KindOf(err) != fault.Invalid || err.Error() != says {
		t.Errorf("Opens = %v, want that %s", err, says)
	}
	checks, err := w.keeper.Test(t.Context(), "shop")
	w.ok(err)
	if checks[1].Err == nil || checks[1].Err.Error() != says {
		t.Errorf("Test says %v of the repository, want that %s", checks[1].Err, says)
	}
	w.secrets["shop-key"] = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"
	w.ok(w.keeper.Opens(&h.Hook))
	delete(w.secrets, "shop-key")
	w.ok(w.keeper.Opens(&h.Hook))
}

func TestTestTriesAll(t *testing.T) {
	w := newWorld(t)
	look := func() string {
		checks, err := w.keeper.Test(context.Background(), "shop")
		w.ok(err)
		var said []string
		for _, c := range checks {
			if c.Err != nil {
				said = append(said, "bad "+c.What+": "+c.Err.Error())
				continue
			}
			said = append(said, "good "+c.What+": "+strings.ReplaceAll(c.Detail, w.forge.url, "API"))
		}
		return strings.Join(said, "\n")
	}
	if got, want := look(), "good secret: shop-hook\ngood repository: git.example/acme/shop has main\ngood status: told at API"; got != want {
		t.Errorf("Test says\n%s\nwant\n%s", got, want)
	}
	w.secrets["shop-hook"], w.secrets["shop-token"] = "short", "0ther"
	w.forge.answer = func(int) int { return http.StatusUnauthorized }
	for _, part := range []string{"bad secret: the secret \"shop-hook\" has only 5 characters", "bad repository: git cannot fetch from https://git.example/acme/shop.git", "answers 401 for acme/shop"} {
		if got := look(); !strings.Contains(got, part) {
			t.Errorf("Test says\n%s\nwant %q", got, part)
		}
	}
	delete(w.secrets, "shop-hook")
	w.hook(func(h *function.Hook) { h.NoStatus = true })
	for _, part := range []string{"bad secret: this node cannot read secret shop-hook", "good status: is not told"} {
		if got := look(); !strings.Contains(got, part) {
			t.Errorf("Test says\n%s\nwant %q", got, part)
		}
	}
	if _, err := w.keeper.Test(context.Background(), "toys"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("Test of what is not there = %v", err)
	}
}
