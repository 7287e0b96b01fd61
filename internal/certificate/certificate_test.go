package certificate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/acme"
)

// clock is a test's own.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Now().Truncate(time.Second)} }

func (c *clock) time() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func authority(t *testing.T, c *clock) *Authority {
	t.Helper()
	a, made, err := OpenAuthority(filepath.Join(t.TempDir(), "tls"), c.time)
	if err != nil || !made {
		t.Fatalf("OpenAuthority = new %v, %v; want a new one", made, err)
	}
	return a
}

func server(t *testing.T, a *Authority, names ...string) Made {
	t.Helper()
	m, err := a.Server(names, DefaultTime)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// shake makes a handshake between both and returns what the server knows of the client then, and the client of the server.
func shake(t *testing.T, s, c *tls.Config) (client, server tls.ConnectionState, err error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	refused := make(chan error, 1)
	go func() {
		inner, err := l.Accept()
		if err != nil {
			refused <- err
			return
		}
		defer inner.Close()
		conn := tls.Server(inner, s)
		err = conn.HandshakeContext(ctx)
		client = conn.ConnectionState()
		if err == nil {
			_, err = conn.Write([]byte("x")) // in TLS 1.3 a client hears of a refusal by what it reads
		}
		refused <- err
	}()
	inner, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer inner.Close()
	conn := tls.Client(inner, c)
	err = conn.HandshakeContext(ctx)
	if err == nil {
		_, err = io.ReadFull(conn, make([]byte, 1))
	}
	server = conn.ConnectionState()
	inner.Close()
	return client, server, errors.Join(err, <-refused)
}

func trusting(t *testing.T, a *Authority, c *clock) *tls.Config {
	t.Helper()
	pool, err := readPool(a.Path())
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{RootCAs: pool, ServerName: "shop.example", Time: c.time}
}

func TestAnAuthorityIsMadeOnceAndItsCertificatesAreBelieved(t *testing.T) {
	c := newClock()
	a := authority(t, c)
	m := server(t, a, "shop.example", "*.Preview.example", "127.0.0.1", "::1")
	for _, file := range []string{a.Path(), a.path(authorityKey), m.Cert, m.Key} {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v; want 0600", file, info.Mode(), err)
		}
	}
	again, made, err := OpenAuthority(a.dir, c.time)
	if err != nil || made || !again.cert.Equal(a.cert) {
		t.Fatalf("opened again = new %v, %v; want the same", made, err)
	}
	s, err := NewServer(Options{Cert: m.Cert, Key: m.Key})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"shop.example", "a.preview.example", "127.0.0.1", "::1"} {
		conf := trusting(t, a, c)
		conf.ServerName, conf.NextProtos = name, []string{"h2"}
		_, got, err := shake(t, s.Public(), conf)
		if err != nil || got.NegotiatedProtocol != "h2" || got.Version != tls.VersionTLS13 {
			t.Errorf("%s: handshake = %v by %x, %v; want HTTP/2 by TLS 1.3", name, got.NegotiatedProtocol, got.Version, err)
		}
	}
	for _, c := range []struct{ host, want string }{{"shop.example", ""}, {"127.0.0.1", ""}, {"10.0.0.1", "shop.example"}} {
		if got := s.Name(c.host); got != c.want {
			t.Errorf("Name(%s) = %q, want %q", c.host, got, c.want)
		}
	}
}

func TestWhatABrowserOfTodayDoesNotTakeIsNotSpoken(t *testing.T) {
	c := newClock()
	a := authority(t, c)
	m := server(t, a, "shop.example")
	s, err := NewServer(Options{Cert: m.Cert, Key: m.Key})
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*tls.Config){
		"TLS 1.1": func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 },
		"no authentication": func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}
		},
		"another protocol":     func(c *tls.Config) { c.NextProtos = []string{"imap"} },
		"a name of nobody's":   func(c *tls.Config) { c.ServerName = "other.example" },
		"another's authority":  func(conf *tls.Config) { conf.RootCAs = trusting(t, authority(t, c), c).RootCAs },
		"after it has expired": func(conf *tls.Config) { conf.Time = func() time.Time { return c.time().Add(DefaultTime + time.Hour) } },
	} {
		conf := trusting(t, a, c)
		change(conf)
		if _, _, err := shake(t, s.Public(), conf); err == nil {
			t.Errorf("%s: the handshake succeeded", name)
		}
	}
}

func TestClientsShowCertificates(t *testing.T) {
	c := newClock()
	a, other := authority(t, c), authority(t, c)
	m := server(t, a, "shop.example")
	s, err := NewServer(Options{Cert: m.Cert, Key: m.Key, Clients: a.Path(), Now: c.time})
	if err != nil || s.Believes() == nil {
		t.Fatal(err)
	}
	public := s.Public()
	pair := func(a *Authority, valid time.Duration) tls.Certificate {
		m, err := a.Client("partner", valid)
		if err != nil {
			t.Fatal(err)
		}
		p, err := tls.LoadX509KeyPair(m.Cert, m.Key)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	own, err := tls.LoadX509KeyPair(m.Cert, m.Key)
	if err != nil {
		t.Fatal(err)
	}
	expired := pair(a, -time.Minute) // it began an hour ago
	for _, tc := range []struct {
		name  string
		shown *tls.Certificate
		works bool
		who   string
	}{
		{"none", nil, true, ""},
		{"its own", new(pair(a, DefaultTime)), true, "partner"},
		{"another authority's", new(pair(other, DefaultTime)), false, ""},
		{"one that has expired", &expired, false, ""},
		{"a server's", &own, false, ""},
	} {
		conf := trusting(t, a, c)
		if tc.shown != nil {
			conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return tc.shown, nil }
		}
		known, _, err := shake(t, public, conf)
		if (err == nil) != tc.works {
			t.Errorf("%s: handshake = %v, want it to work: %v", tc.name, err, tc.works)
			continue
		}
		who := ""
		if len(known.VerifiedChains) > 0 {
			who = known.VerifiedChains[0][0].Subject.CommonName
		}
		if who != tc.who && tc.works {
			t.Errorf("%s: the server knows %q, want %q", tc.name, who, tc.who)
		}
	}
	// Who pretends to check a challenge is not asked, so that nothing it shows is believed by the machine's own authorities.
	conf := trusting(t, a, c)
	conf.NextProtos = []string{"h2", acme.ALPNProto}
	asked := false
	conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		asked = true
		return new(pair(other, DefaultTime)), nil
	}
	if known, _, err := shake(t, public, conf); err != nil || asked || len(known.PeerCertificates) > 0 {
		t.Errorf("with ACME's protocol: asked %v, knows %d certificates, %v; want none", asked, len(known.PeerCertificates), err)
	}
	if _, _, err := shake(t, s.Private(), trusting(t, a, c)); err != nil {
		t.Errorf("the private listener: %v", err)
	}
}

func TestFilesAreReadAgainWhenTheyChange(t *testing.T) {
	c := newClock()
	a := authority(t, c)
	first := server(t, a, "shop.example")
	var said strings.Builder
	s, err := NewServer(Options{Cert: first.Cert, Key: first.Key, Clients: a.Path(), Now: c.time, Logger: slog.New(slog.NewTextHandler(&said, nil))})
	if err != nil {
		t.Fatal(err)
	}
	serial := func() string {
		t.Helper()
		_, got, err := shake(t, s.Public(), trusting(t, a, c))
		if err != nil {
			t.Fatal(err)
		}
		return got.PeerCertificates[0].SerialNumber.String()
	}
	before := serial()
	server(t, a, "shop.example", "more.example")
	if serial() != before {
		t.Error("files are looked at within a second")
	}
	c.pass(lookEvery)
	after := serial()
	if after == before {
		t.Error("the new certificate is not shown")
	}
	if err := os.WriteFile(first.Key, []byte("half of a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		c.pass(lookEvery)
		if serial() != after {
			t.Error("a damaged key took the certificate away")
		}
	}
	if n := strings.Count(said.String(), "the one before holds"); n != 1 {
		t.Errorf("the log says %d times that a file is bad, want once:\n%s", n, said.String())
	}
	if err := os.Remove(first.Cert); err != nil {
		t.Fatal(err)
	}
	c.pass(lookEvery)
	if serial() != after {
		t.Error("a missing file took the certificate away")
	}
	server(t, a, "shop.example")
	c.pass(lookEvery)
	if now := serial(); now == after {
		t.Error("a certificate that is good again is not shown")
	}
}

func TestAnAuthorityThatIsTakenOutIsForgotten(t *testing.T) {
	c := newClock()
	a, next := authority(t, c), authority(t, c)
	m := server(t, a, "shop.example")
	clients := filepath.Join(t.TempDir(), "clients.pem")
	copyFile(t, a.Path(), clients)
	s, err := NewServer(Options{Cert: m.Cert, Key: m.Key, Clients: clients, Now: c.time})
	if err != nil {
		t.Fatal(err)
	}
	made, err := a.Client("partner", DefaultTime)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(made.Cert, made.Key)
	if err != nil {
		t.Fatal(err)
	}
	conf := trusting(t, a, c)
	conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	conf.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	public := s.Public()
	open, _, err := shake(t, public, conf)
	if err != nil {
		t.Fatal(err)
	}
	if believes := s.Believes(); !believes(open.VerifiedChains) || believes(nil) {
		t.Error("an authority that stays is not believed, or nobody is")
	}
	copyFile(t, next.Path(), clients)
	c.pass(lookEvery)
	if s.Believes()(open.VerifiedChains) {
		t.Error("a connection that is open outlives its authority")
	}
	if _, _, err := shake(t, public, conf); err == nil {
		t.Error("a client whose authority was taken out comes in, by its session")
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestBadFilesAreNamed(t *testing.T) {
	c := newClock()
	a := authority(t, c)
	m, other := server(t, a, "shop.example"), server(t, authority(t, c), "shop.example")
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		o    Options
		want string
	}{
		"no file":        {Options{Cert: "nowhere.pem", Key: m.Key}, "nowhere.pem"},
		"another's key":  {Options{Cert: m.Cert, Key: other.Key}, "are no certificate and its key"},
		"an empty file":  {Options{Cert: empty, Key: m.Key}, "are no certificate and its key"},
		"no authority":   {Options{Cert: m.Cert, Key: m.Key, Clients: empty}, "holds no certificate in PEM"},
		"both":           {Options{Cert: m.Cert, Key: m.Key, ACME: ACME{Domains: []string{"a.example"}}}, "not both"},
		"ACME's own":     {Options{ACME: ACME{Domains: []string{"a.example"}, CA: empty, Dir: t.TempDir()}}, "the ACME directory's"},
		"ACME's nowhere": {Options{ACME: ACME{Domains: []string{"a.example"}, Dir: filepath.Join(empty, "x")}}, "make the directory"},
	} {
		if _, err := NewServer(tc.o); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: NewServer = %v, want %s", name, err, tc.want)
		}
	}
	if s, err := NewServer(Options{}); s != nil || err != nil || s.Believes() != nil {
		t.Errorf("without files: %v, %v; want no TLS", s, err)
	}
	if _, err := Roots(empty); err == nil || !strings.Contains(err.Error(), "holds no certificate") {
		t.Errorf("Roots of an empty file = %v", err)
	}
}

func TestADamagedAuthorityIsNotMadeAnew(t *testing.T) {
	c := newClock()
	for name, damage := range map[string]func(a *Authority) error{
		"without key":         func(a *Authority) error { return os.Remove(a.path(authorityKey)) },
		"without certificate": func(a *Authority) error { return os.Remove(a.Path()) },
		"half a key":          func(a *Authority) error { return os.Truncate(a.path(authorityKey), 40) },
		"half a certificate":  func(a *Authority) error { return os.Truncate(a.Path(), 40) },
		"another's key":       func(a *Authority) error { return os.Rename(authority(t, c).path(authorityKey), a.path(authorityKey)) },
	} {
		a := authority(t, c)
		if err := damage(a); err != nil {
			t.Fatal(err)
		}
		if _, made, err := OpenAuthority(a.dir, c.time); err == nil || made {
			t.Errorf("%s: OpenAuthority = new %v, %v; want an error", name, made, err)
		}
	}
	a := authority(t, c)
	c.pass(authorityTime + time.Hour)
	if _, _, err := OpenAuthority(a.dir, c.time); err == nil || !strings.Contains(err.Error(), "has ended") {
		t.Errorf("an authority that has ended = %v", err)
	}
}

func TestNamesThatNoCertificateCanHave(t *testing.T) {
	c := newClock()
	a := authority(t, c)
	for _, name := range []string{"", "a b", "a:80", "https://a", "-a", "a..b", "*", "a.*", "fe80::1%eth0", strings.Repeat("a", 254)} {
		if _, err := a.Server([]string{name}, DefaultTime); err == nil {
			t.Errorf("Server(%q) made one", name)
		}
	}
	for _, name := range []string{"", "../x", "a/b", "a b", ".a", strings.Repeat("a", 65), "a\x00"} {
		if _, err := a.Client(name, DefaultTime); err == nil {
			t.Errorf("Client(%q) made one", name)
		}
	}
	if list, err := os.ReadDir(a.dir); err != nil || len(list) != 2 {
		t.Errorf("the directory has %d files, %v; want the authority's two", len(list), err)
	}
	m, err := a.Server([]string{"shop.example"}, 2*authorityTime)
	if err != nil || m.Until.After(a.Until()) {
		t.Errorf("a certificate holds until %v, its authority until %v: %v", m.Until, a.Until(), err)
	}
	text, err := os.ReadFile(m.Cert)
	if err != nil {
		t.Fatal(err)
	}
	der, err := block(text, "CERTIFICATE")
	if err != nil {
		t.Fatal(err)
	}
	if leaf, err := x509.ParseCertificate(der); err != nil || leaf.IsCA {
		t.Errorf("a server's certificate = %v, an authority %v; want none", err, leaf.IsCA)
	}
}

func TestAServerTurnsToOtherFiles(t *testing.T) {
	c := newClock()
	a := authority(t, c)
	apart := func(name string) Made { // from the next one, which has the same files
		m, dir := server(t, a, name), t.TempDir()
		for _, f := range []*string{&m.Cert, &m.Key} {
			to := filepath.Join(dir, filepath.Base(*f))
			if err := os.Rename(*f, to); err != nil {
				t.Fatal(err)
			}
			*f = to
		}
		return m
	}
	one, two := apart("one.example"), apart("two.example")
	s, err := NewServer(Options{Cert: one.Cert, Key: one.Key, Clients: a.Path(), Now: c.time})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Turn(Options{Cert: two.Cert, Key: one.Key + "x"}); err == nil {
		t.Error("turned to files that are not there")
	}
	take, err := s.Turn(Options{Cert: two.Cert, Key: two.Key, Clients: a.Path()})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Name("one.example"); got != "" {
		t.Errorf("shows %q before it was told to", got)
	}
	take()
	if got := s.Name("two.example"); got != "" {
		t.Errorf("shows %q, not two.example", got)
	}
	// From now on it is these files that are watched.
	again := apart("three.example")
	for from, to := range map[string]string{again.Cert: two.Cert, again.Key: two.Key} {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	c.pass(2 * lookEvery)
	if got := s.Name("three.example"); got != "" {
		t.Errorf("shows %q, not three.example", got)
	}
}
