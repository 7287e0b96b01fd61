package console

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"sync"
	"time"
)

const (
	// cookieName begins as those of all of dalamb's cookies do, which the gateway takes out of what functions get: a browser sends the cookies of
	// a host to all of its ports.
	cookieName = "dalamb-console"
	// sessionIdle is how long a session lasts without being used.
	sessionIdle = 12 * time.Hour
	// maxSessions bounds how many are kept; the one that was not used for the longest time makes room.
	maxSessions = 1000
)

// session is one visitor in one browser. The browser holds a random name for it; the token stays here.
type session struct {
	token  string
	form   string        // that each form of this visitor's pages carries
	person bool          // who has signed in with the provider
	over   chan struct{} // closed when the session ends, and with it what its pages follow

	mu     sync.Mutex
	used   time.Time
	notice string // that the next page shows
}

// say leaves a line for the next page.
func (s *session) say(notice string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notice = notice
}

// heard takes the line.
func (s *session) heard() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.notice
	s.notice = ""
	return n
}

// own says whether a form is of this visitor's pages.
func (s *session) own(form string) bool {
	return subtle.ConstantTimeCompare([]byte(form), []byte(s.form)) == 1
}

// touch says whether the session still lasts, and makes it last.
func (s *session) touch(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.used) > sessionIdle {
		return false
	}
	s.used = now
	return true
}

func (s *session) lastUsed() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}

// sessions are those who are signed in, for as long as the process lives. They are found by a digest of the name that the browser holds, so that the
// time it takes to look tells nothing of the names that there are.
type sessions struct {
	now  func() time.Time
	ways ways

	mu  sync.Mutex
	all map[[sha256.Size]byte]*session
}

func newSessions(now func() time.Time, w ways) *sessions {
	return &sessions{now: now, ways: w, all: map[[sha256.Size]byte]*session{}}
}

// begin makes a session for a token, which the API has taken, and returns the name of it. person: it is the provider's.
func (s *sessions) begin(token string, person bool) string {
	name := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	var oldest [sha256.Size]byte
	var since time.Time
	for key, one := range s.all {
		used := one.lastUsed()
		if s.now().Sub(used) > sessionIdle {
			s.forget(key)
			continue
		}
		if since.IsZero() || used.Before(since) {
			oldest, since = key, used
		}
	}
	if len(s.all) >= maxSessions {
		s.forget(oldest)
	}
	s.all[sha256.Sum256([]byte(name))] = &session{token: token, person: person, form: rand.Text(), over: make(chan struct{}), used: s.now()}
	return name
}

// of is the session of a request; nil = nobody is signed in.
func (s *sessions) of(r *http.Request) *session {
	c, err := r.Cookie(s.ways.cookieOf(r))
	if err != nil {
		return nil
	}
	key := sha256.Sum256([]byte(c.Value))
	s.mu.Lock()
	one := s.all[key]
	s.mu.Unlock()
	if one == nil || !one.touch(s.now()) {
		return nil
	}
	return one
}

// end forgets the session of a request.
func (s *sessions) end(r *http.Request) {
	if c, err := r.Cookie(s.ways.cookieOf(r)); err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.forget(sha256.Sum256([]byte(c.Value)))
	}
}

// forget needs mu.
func (s *sessions) forget(key [sha256.Size]byte) {
	if one := s.all[key]; one != nil {
		close(one.over)
		delete(s.all, key)
	}
}

// ways are by which browsers come.
type ways struct {
	secure bool // by https alone, whatever the last part of the way is: something before this listener has the certificate
}

// by says whether a browser's way here is https.
func (w ways) by(r *http.Request) bool { return w.secure || r.TLS != nil }

// cookie holds a session's name in the browser; scripts cannot read it, and other sites cannot have it sent. "" takes it away.
func (w ways) cookie(r *http.Request, name string) *http.Cookie {
	c := &http.Cookie{Name: w.cookieOf(r), Value: name, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: w.by(r)}
	if name == "" {
		c.MaxAge = -1
	}
	return c
}

// cookieOf is the cookie's name: by https browsers hold it to be of this host alone. RFC 6265bis, section 4.1.3.2.
func (w ways) cookieOf(r *http.Request) string {
	if w.by(r) {
		return "__Host-" + cookieName
	}
	return cookieName
}
