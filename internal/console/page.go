package console

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

//go:embed pages static
var embedded embed.FS

// formField is the field of each form that says of which session's pages it is.
const formField = "session"

// frame is what stands around a page.
type frame struct {
	Page   string // its file below pages, without .html
	Title  string
	Nav    string // the entry of the navigation that it is under
	Form   string // what its forms carry; "" = nobody is signed in
	Next   string // a path that the browser goes on to by itself; "" = it stays
	Notice string
	Who    visitor // who looks at it, where somebody is signed in
	Live   bool    // it shows what goes on, and is fetched again while it is looked at
	Body   any
}

// visit is one request of somebody who is signed in.
type visit struct {
	*client.Client
	w       http.ResponseWriter
	r       *http.Request
	session *session
	who     visitor
	now     time.Time
}

// query is a parameter of the page's address, or of the form that was sent.
func (v *visit) query(name string) string { return strings.TrimSpace(v.r.FormValue(name)) }

// show makes a page. One that has answered by itself, as by leading elsewhere, returns no Page.
type show func(v *visit) (frame, error)

// pages are the templates, each with what stands around it.
type pages map[string]*template.Template

func readPages(now func() time.Time) (pages, error) {
	base, err := template.New("").Funcs(words(now)).ParseFS(embedded, "pages/frame.html", "pages/parts.html")
	if err != nil {
		return nil, fmt.Errorf("read pages: %w", err)
	}
	entries, err := embedded.ReadDir("pages")
	if err != nil {
		return nil, fmt.Errorf("read pages: %w", err)
	}
	all := pages{}
	for _, e := range entries {
		name, _ := strings.CutSuffix(e.Name(), ".html")
		if name == "frame" || name == "parts" {
			continue
		}
		one, err := base.Clone()
		if err == nil {
			_, err = one.ParseFS(embedded, "pages/"+e.Name())
		}
		if err != nil {
			return nil, fmt.Errorf("read page %s: %w", name, err)
		}
		all[name] = one
	}
	return all, nil
}

// page is a page of those who are signed in. What is posted has to come from a form of theirs.
func (c *Console) page(show show) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := c.sessions.of(r)
		if s == nil {
			toSignIn(w, r)
			return
		}
		if r.Method == http.MethodPost {
			r.Body = http.MaxBytesReader(w, r.Body, maxForm)
			if _ = r.ParseForm(); !s.own(r.PostFormValue(formField)) { // of a form that cannot be read the field is missing
				c.fail(w, s, fault.New(fault.Denied, "this form is not of your session, or is too large").WithHint("load the page again, then send it"))
				return
			}
		}
		if err := r.ParseForm(); err != nil {
			c.fail(w, s, fault.New(fault.Invalid, "the address or the form cannot be read: %w", err))
			return
		}
		asked, err := c.client(s.token)
		if err != nil {
			c.fail(w, s, err)
			return
		}
		v := &visit{Client: asked, w: w, r: r, session: s, now: c.now()}
		var f frame
		self, err := asked.Self(r.Context())
		if err == nil {
			v.who = visitorOf(self)
			f, err = show(v)
		}
		switch {
		case fault.KindOf(err) == fault.Unauthenticated: // the token has ended
			c.sessions.end(r)
			toSignIn(w, r)
		case err != nil:
			c.fail(w, s, err)
		case f.Page != "":
			f.Form, f.Who, f.Notice = s.form, v.who, s.heard()
			c.write(w, http.StatusOK, f)
		}
	})
}

// failure is the page of an error.
type failure struct {
	Status  int
	Message string
	Hint    string
}

func (c *Console) fail(w http.ResponseWriter, s *session, err error) {
	status := wire.Status(fault.KindOf(err))
	if status == http.StatusInternalServerError {
		c.logger.Error("console page", "err", err)
	}
	c.write(w, status, frame{Page: "failure", Title: "That did not work", Form: s.form, Body: failure{status, err.Error(), fault.HintOf(err)}})
}

// write makes the page whole before any of it is sent, so that nobody gets half of one.
func (c *Console) write(w http.ResponseWriter, status int, f frame) {
	var b bytes.Buffer
	if err := c.pages[f.Page].ExecuteTemplate(&b, "frame", f); err != nil {
		c.logger.Error("console page", "page", f.Page, "err", err)
		http.Error(w, "this page cannot be shown; the node's log says why", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // who is gone wants to know nothing
}
