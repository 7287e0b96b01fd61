package hook

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// notification is what Docker's registry sends for a push of a tag; fields that nobody looks at are among it.
const notification = `{"events":[
  {"id":"320678d8-ca14-430f-8bb6-4ca139cd83f7","timestamp":"2026-03-09T14:44:26.402973972-08:00","action":"push",
   "target":{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:fea8895f450959fa676bcc1df0611ea93823a735a01205fd8622846041d0c7cf","size":708,"length":708,
             "repository":"shop/pay","url":"http://registry.example.com:5000/v2/shop/pay/manifests/sha256:fea8895f","tag":"stable"},
   "request":{"id":"6df24a34-0959-4923-81ca-14f09767db19","addr":"192.168.64.11:42961","host":"registry.example.com:5000","method":"PUT","useragent":"curl/7.38.0"},
   "actor":{"name":"jane"},"source":{"addr":"xtal.local:5000","instanceID":"a53db899-3b4b-4a62-a067-8dd013beaca4"}},
  {"id":"2","action":"push","target":{"mediaType":"application/octet-stream","digest":"sha256:fea8895f450959fa676bcc1df0611ea93823a735a01205fd8622846041d0c7cf","repository":"shop/pay"}},
  {"id":"3","action":"pull","target":{"repository":"../no","tag":"stable"}}]}`

// take gives a request to a provider, which admits it first.
func take(p Provider, c Call) (note string, err error) {
	body := c.Body
	c.Body = nil
	if _, err := p.Admit(c); err != nil {
		return "", err
	}
	c.Body = body
	return p.Take(c)
}

// taken is a provider that remembers.
type taken struct {
	pushes []function.ImagePushed
	ids    []string
	err    error
}

func (n *taken) registry() Registry {
	return Registry{
		Sender: func(h http.Header) (string, error) {
			if name := h.Get("Authorization"); name != "" {
				return name, nil
			}
			return "", fault.New(fault.Unauthenticated, "the request carries no token")
		},
		Pushed: func(id string, p function.ImagePushed) error {
			n.pushes, n.ids = append(n.pushes, p), append(n.ids, id)
			return n.err
		},
	}
}

func from(token, body string) Call {
	return Call{Name: "harbor", Header: http.Header{"Authorization": {token}}, Body: []byte(body)}
}

func TestANotificationIsTaken(t *testing.T) {
	n := &taken{}
	for _, sender := range []string{"harbor", function.NodeToken} {
		if _, err := take(n.registry(), from(sender, notification)); err != nil {
			t.Fatalf("Take = %v", err)
		}
	}
	want := function.ImagePushed{
		Registry: "harbor", Repository: "shop/pay", Tag: "stable", Digest: "sha256:fea8895f450959fa676bcc1df0611ea93823a735a01205fd8622846041d0c7cf",
		MediaType: "application/vnd.oci.image.manifest.v1+json", Bytes: 708, Pusher: "jane",
	}
	if len(n.pushes) != 2 || !reflect.DeepEqual(n.pushes[0], want) {
		t.Errorf("it took %+v, want %+v each time", n.pushes, want)
	}
	if n.ids[0] != n.ids[1] || len(n.ids[0]) != 36 {
		t.Errorf("the same event has the ids %q", n.ids)
	}
	n.err = errors.New("the disk is away")
	if _, err := take(n.registry(), from("harbor", notification)); !errors.Is(err, n.err) {
		t.Errorf("Take = %v, want what went wrong: the registry sends it again", err)
	}
}

func TestBadNotifications(t *testing.T) {
	target := func(s string) string { return `{"events":[{"action":"push","target":{` + s + `}}]}` }
	for name, c := range map[string]struct {
		call Call
		kind fault.Kind
		says string
	}{
		"no token":            {from("", notification), fault.Unauthenticated, "carries no token"},
		"another's":           {from("shop", notification), fault.Unauthenticated, "the token shop is not that of the hook harbor"},
		"not JSON":            {from("harbor", "hello"), fault.Invalid, "no array of events"},
		"another shape":       {from("harbor", `{"ref":"refs/heads/main"}`), fault.Invalid, "no array of events"},
		"an array":            {from("harbor", `[]`), fault.Invalid, "no array of events"},
		"a path":              {from("harbor", target(`"repository":"../../etc","tag":"1"`)), fault.Invalid, `events[0].target: "../../etc" is no repository`},
		"a long repository":   {from("harbor", target(`"repository":"`+strings.Repeat("a", 256)+`","tag":"1"`)), fault.Invalid, "is no repository"},
		"a tag with a slash":  {from("harbor", target(`"repository":"a","tag":"1/2"`)), fault.Invalid, `"1/2" is no tag`},
		"a digest that lies":  {from("harbor", target(`"repository":"a","tag":"1","digest":"sha256:x\n"`)), fault.Invalid, "is no digest"},
		"nothing of interest": {from("harbor", target(`"repository":"a"`)), 0, ""},
		"no events":           {from("harbor", `{"events":[]}`), 0, ""},
	} {
		n := &taken{}
		_, err := take(n.registry(), c.call)
		if c.says == "" && err != nil || c.says != "" && (fault.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: Take = %v, want %q", name, err, c.says)
		}
		if len(n.pushes) != 0 {
			t.Errorf("%s: it took %+v", name, n.pushes)
		}
	}
}

func TestRequestsToHooks(t *testing.T) {
	n := &taken{}
	h := Hooks{"registry": n.registry()}
	for _, c := range []struct {
		method, path, body string
		kind               fault.Kind
		says               string
	}{
		{"POST", "/_/hooks/registry/harbor", notification, 0, ""},
		{"GET", "/_/hooks/registry/harbor", "", fault.Invalid, "GET is not possible"},
		{"POST", "/_/hooks/registri/harbor", "", fault.NotFound, "did you mean registry"},
		{"POST", "/_/hooks/registry", "", fault.NotFound, `there is no hook ""`},
		{"POST", "/_/hooks/registry/a/b", "", fault.NotFound, `there is no hook "a/b"`},
		{"POST", "/_/hooks/registry/..", "", fault.NotFound, `there is no hook ".."`},
		{"POST", "/_/hooks/", "", fault.NotFound, "no provider of hooks"},
	} {
		r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
		r.Header.Set("Authorization", "harbor")
		most, err := h.Admit(r)
		if err == nil {
			_, err = h.Take(r, []byte(c.body))
		}
		said := ""
		if err != nil {
			said = err.Error() + ": " + fault.HintOf(err)
		}
		if c.says == "" && err != nil || c.says != "" && (fault.KindOf(err) != c.kind || !strings.Contains(said, c.says)) {
			t.Errorf("%s %s = %v (%s), want %q", c.method, c.path, err, said, c.says)
		}
		if err == nil && most != maxNotification {
			t.Errorf("%s %s: %d bytes are read, want %d", c.method, c.path, most, maxNotification)
		}
	}
	if len(n.pushes) != 1 {
		t.Errorf("it took %d pushes, want 1", len(n.pushes))
	}
}

// Whatever is sent, what is taken is well spelled and can be kept on one line.
func FuzzNotification(f *testing.F) {
	for _, seed := range []string{notification, `{"events":[{"action":"push","target":{"repository":"a","tag":"1"},"actor":{"name":"\u0000\n\ud800"}}]}`, `{"events":null}`, ``} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		n := &taken{}
		if _, err := take(n.registry(), from("harbor", string(body))); err != nil && len(n.pushes) > 0 {
			t.Errorf("Take = %v after it took %+v", err, n.pushes)
		}
		for _, p := range n.pushes {
			if check(p) != nil || len(p.Pusher) > maxPlain || plain(p.Pusher) != p.Pusher || p.Bytes < 0 {
				t.Errorf("it took %+v", p)
			}
			if _, err := json.Marshal(p); err != nil {
				t.Error(err)
			}
		}
	})
}
