package console

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

// maxForm bounds what a form sends: an event of the largest size, and what the form adds.
const maxForm = 8 << 20

// signInPage is what the form for the token shows.
type signInPage struct {
	Error, Hint string
	To          string // where the visitor wanted to go
	Provider    string // with which people sign in; "" = there is none
}

// signedOutPage says that the provider still knows who it was.
type signedOutPage struct{ Provider, End string }

func (c *Console) askToken(w http.ResponseWriter, r *http.Request) {
	c.showSignIn(w, http.StatusOK, signInPage{To: local(r.URL.Query().Get("to"))})
}

func (c *Console) showSignIn(w http.ResponseWriter, status int, p signInPage) {
	if c.desk != nil {
		p.Provider = c.desk.host()
	}
	c.write(w, status, frame{Page: "signin", Title: "Sign in", Body: p})
}

// signIn asks the API whether it takes the token, and no more: what the token may do is the API's to say, each time.
func (c *Console) signIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	p := signInPage{To: local(r.FormValue("to"))}
	token := strings.TrimSpace(r.PostFormValue("token"))
	asked, err := c.client(token)
	if err == nil {
		_, err = asked.Node(r.Context())
	}
	if err != nil {
		p.Error, p.Hint = err.Error(), "the node's own token is in the file token of its data directory"
		c.showSignIn(w, wire.Status(fault.KindOf(err)), p)
		return
	}
	c.sessions.end(r) // one that this browser had before
	http.SetCookie(w, c.sessions.ways.cookie(r, c.sessions.begin(token, false)))
	http.Redirect(w, r, p.To, http.StatusSeeOther)
}

func (c *Console) signOut(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	s := c.sessions.of(r)
	if s != nil && !s.own(r.PostFormValue(formField)) {
		http.Error(w, "this form is not of this session: load the page again", http.StatusForbidden)
		return
	}
	c.sessions.end(r)
	http.SetCookie(w, c.sessions.ways.cookie(r, ""))
	if s != nil && s.person && c.desk != nil {
		if at := c.desk.End(); at != "" { // a form may lead to no other site: guard
			c.write(w, http.StatusOK, frame{Page: "signedout", Title: "Signed out", Body: signedOutPage{c.desk.host(), at}})
			return
		}
	}
	http.Redirect(w, r, "/signin", http.StatusSeeOther)
}

// toSignIn sends a visitor to the form, and from there back.
func toSignIn(w http.ResponseWriter, r *http.Request) {
	to := "/signin"
	if r.Method == http.MethodGet && r.URL.RequestURI() != "/" {
		to += "?" + url.Values{"to": {r.URL.RequestURI()}}.Encode()
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// local is a path of the console; anything else is its first page, so that a link to the form leads nowhere else.
func local(path string) string {
	u, err := url.Parse(path)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(u.Path, "//") || strings.ContainsAny(path, "\\\r\n\t") {
		return "/"
	}
	return u.RequestURI()
}

// client calls the API with a token.
func (c *Console) client(token string) (*client.Client, error) {
	return client.New(client.Options{Address: "http://control", Token: token, HTTP: &http.Client{Transport: c.api}})
}
