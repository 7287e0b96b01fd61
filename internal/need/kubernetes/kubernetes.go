// Package kubernetes runs a real Kubernetes API on loopback for tests: a kube-apiserver, and an etcd of its own. There are no controllers, no nodes and no
// pods: what is to be there a test writes itself, by the API. Nothing of dalamb itself uses it.
package kubernetes

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/dalamb/dalamb/internal/need/child"
)

// startTimeout is how long the API may take to be ready, on a machine that has much else to do.
const startTimeout = 2 * time.Minute

// API is a Kubernetes API. Its methods are not called at the same time, but for Call.
type API struct {
	URL   string // https
	CA    []byte // PEM
	Token string // of an administrator

	dist         *Distribution
	dir          string
	client       *http.Client
	store        string // etcd's address
	etcd, server *child.Child
}

// Start starts the API and waits until it serves. The caller closes it.
func Start(ctx context.Context, d *Distribution) (*API, error) {
	dir, err := os.MkdirTemp("", "dalamb-kubernetes-")
	if err != nil {
		return nil, fmt.Errorf("make the API's directory: %w", err)
	}
	a := &API{dist: d, dir: dir, Token: rand.Text()}
	if err := a.start(ctx); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

func (a *API) start(ctx context.Context) (err error) {
	if a.CA, err = writeCertificate(a.dir); err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(a.CA)
	a.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	if err := os.WriteFile(a.file("tokens"), []byte(a.Token+",admin,admin,system:masters\n"), 0o600); err != nil {
		return fmt.Errorf("write the administrator's token: %w", err)
	}
	var at [3]string
	for i := range at {
		if at[i], err = freeAddress(); err != nil {
			return err
		}
	}
	a.URL, a.store = "https://"+at[0], "http://"+at[1]
	peers := "http://" + at[2]
	a.etcd, err = child.Start(a.dir, a.file("etcd.out"), []string{a.dist.etcd, "--data-dir", a.file("etcd"), "--name", "one", "--listen-client-urls", a.store, "--advertise-client-urls", a.store,
		"--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers, "--initial-cluster", "one=" + peers, "--unsafe-no-fsync"})
	if err != nil {
		return err
	}
	return a.Restart(ctx)
}

// Restart starts the API again after Kill, at the same address and with what was stored, and waits until it serves.
func (a *API) Restart(ctx context.Context) (err error) {
	_, port, err := net.SplitHostPort(strings.TrimPrefix(a.URL, "https://"))
	if err != nil {
		return fmt.Errorf("read the API's address: %w", err)
	}
	a.server, err = child.Start(a.dir, a.file("server.out"), []string{a.dist.server,
		"--etcd-servers=" + a.store, "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--secure-port=" + port, "--endpoint-reconciler-type=none",
		"--tls-cert-file=" + a.file(certificateFile), "--tls-private-key-file=" + a.file(keyFile), "--token-auth-file=" + a.file("tokens"),
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file=" + a.file(keyFile), "--service-account-signing-key-file=" + a.file(keyFile),
		"--authorization-mode=RBAC", "--service-cluster-ip-range=10.96.0.0/16", "--disable-admission-plugins=ServiceAccount"})
	if err != nil {
		return err
	}
	return a.ready(ctx)
}

func (a *API) file(name string) string { return filepath.Join(a.dir, name) }

func (a *API) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := a.Call(ctx, http.MethodGet, "/readyz", nil)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-a.etcd.Done():
			return a.lost("etcd", err)
		case <-a.server.Done():
			return a.lost("server", err)
		case <-ctx.Done():
			return a.lost("server", err)
		}
	}
}

// lost is an error with the last words of a program.
func (a *API) lost(program string, err error) error {
	const most = 4096
	out, _ := os.ReadFile(a.file(program + ".out")) // there may be none
	return fmt.Errorf("wait for the Kubernetes API: %w; the last words of %s:\n%s", err, program, out[max(0, len(out)-most):])
}

// Call asks the API as the administrator, and returns its answer of 2xx. A body is sent as JSON.
func (a *API) Call(ctx context.Context, method, path string, body any) ([]byte, error) {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return nil, fmt.Errorf("encode a body: %w", err)
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, a.URL+path, bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("make a request: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+a.Token)
	r.Header.Set("Content-Type", "application/json")
	res, err := a.client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("ask the Kubernetes API: %w", err)
	}
	defer res.Body.Close()
	said, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, fmt.Errorf("read the answer of the Kubernetes API: %w", err)
	}
	if res.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s %s: the Kubernetes API answered %s: %s", method, path, res.Status, said)
	}
	return said, nil
}

// Kill ends the API as a power cut does; what it has stored stays, in etcd.
func (a *API) Kill() error {
	a.client.CloseIdleConnections()
	return a.server.End(syscall.SIGKILL)
}

// Close ends everything, and removes what was stored.
func (a *API) Close() error {
	var errs []error
	for _, c := range []*child.Child{a.server, a.etcd} {
		if c != nil {
			errs = append(errs, c.End(syscall.SIGKILL))
		}
	}
	return errors.Join(append(errs, os.RemoveAll(a.dir))...)
}

// freeAddress is one on loopback that nobody listens on.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}
