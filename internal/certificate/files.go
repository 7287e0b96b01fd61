package certificate

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
)

// lookEvery is how often files are looked at, at most: a handshake within this time after another takes what that one had.
const lookEvery = time.Second

// watched is a value that is made of files and made again when one of them has changed. Safe for concurrent use.
type watched[T any] struct {
	logger *slog.Logger
	now    func() time.Time

	mu     sync.Mutex
	from   *origin[T]
	value  T
	looked time.Time
	seen   []stamp // of the files that were read last, well or not
}

// origin is where a value comes from.
type origin[T any] struct {
	files []string
	read  func() (T, error)
}

// stamp is what tells that a file is another one.
type stamp struct {
	size    int64
	changed int64 // Unix nanoseconds
	missing bool
}

// watch reads the files for the first time; what is wrong with them then is the caller's error.
func watch[T any](o Options, read func() (T, error), files ...string) (*watched[T], error) {
	w := &watched[T]{logger: o.Logger, now: o.Now}
	take, err := w.turn(read, files...)
	if err != nil {
		return w, err
	}
	take()
	return w, nil
}

// turn reads other files, or the same ones again, at once. What was read counts when take is called.
func (w *watched[T]) turn(read func() (T, error), files ...string) (take func(), err error) {
	from := &origin[T]{files, read}
	seen, looked := from.stamps(), w.now()
	value, err := read()
	if err != nil {
		return nil, err
	}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.from, w.value, w.seen, w.looked = from, value, seen, looked
	}, nil
}

func (o *origin[T]) stamps() []stamp {
	out := make([]stamp, len(o.files))
	for i, f := range o.files {
		info, err := os.Stat(f)
		if err != nil {
			out[i].missing = true
			continue
		}
		out[i] = stamp{size: info.Size(), changed: info.ModTime().UnixNano()}
	}
	return out
}

// get returns the newest good value. One caller at a time looks at the files; the others take what is there.
func (w *watched[T]) get() T {
	now := w.now()
	w.mu.Lock()
	value, due, seen, from := w.value, now.Sub(w.looked) >= lookEvery, w.seen, w.from
	if due {
		w.looked = now
	}
	w.mu.Unlock()
	if !due {
		return value
	}
	found := from.stamps()
	if slices.Equal(found, seen) {
		return value
	}
	fresh, err := from.read()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.from != from { // turned to other files meanwhile
		return w.value
	}
	w.seen = found // also of files that are bad, so that the log says it once
	if err != nil {
		w.logger.Error("certificate not read again; the one before holds", "file", from.files[0], "err", err)
		return w.value
	}
	w.logger.Info("certificate read again", "file", from.files[0])
	w.value = fresh
	return fresh
}

// readPair reads a certificate, with those that lead to its authority behind it, and its key.
func readPair(cert, key string) (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err == nil {
		return &pair, nil
	}
	if missing, ok := errors.AsType[*fs.PathError](err); ok {
		return nil, fault.New(fault.Invalid, "the certificate cannot be read: %w", missing).WithHint("name a certificate and its key, both in PEM: --tls-cert and --tls-key; `dalamb tls init` makes them")
	}
	return nil, fault.New(fault.Invalid, "%s and %s are no certificate and its key: %w", cert, key, err).
		WithHint("both in PEM, the server's own certificate first; `dalamb tls init` makes them")
}

// readPool reads the certificates of authorities.
func readPool(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fault.New(fault.Invalid, "the authority cannot be read: %w", err).WithHint("name a file with certificates in PEM")
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fault.New(fault.Invalid, "%s holds no certificate in PEM", file).WithHint("it begins with -----BEGIN CERTIFICATE-----")
	}
	return pool, nil
}

// Roots are the authorities that a client believes: the machine's, and those in a file.
func Roots(file string) (*x509.CertPool, error) {
	own, err := os.ReadFile(file)
	if err != nil {
		return nil, fault.New(fault.Invalid, "the authority cannot be read: %w", err).WithHint("name a file with certificates in PEM: --ca FILE, or DALAMB_CA")
	}
	pool, err := x509.SystemCertPool()
	if err != nil { // a machine without any knows no others
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(own) {
		return nil, fault.New(fault.Invalid, "%s holds no certificate in PEM", file).WithHint("it begins with -----BEGIN CERTIFICATE-----; the node's authority is in ca.pem, where `dalamb tls init` has put it")
	}
	return pool, nil
}
