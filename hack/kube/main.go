// Kube runs a Kubernetes API on loopback, to try dalamb on it or to look into a test: a real kube-apiserver on an etcd, without controllers, nodes or pods.
//
//	go run ./hack/kube build            compile kube-apiserver (once; it takes minutes)
//	go run ./hack/kube
//
// It prints how a node gets there, until Ctrl-C or SIGTERM. What was stored goes with it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/dalamb/dalamb/internal/need/kubernetes"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	verb := ""
	if len(os.Args) > 1 {
		verb = os.Args[1]
	}
	if err := run(ctx, verb); err != nil {
		fmt.Fprintln(os.Stderr, "kube:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, verb string) error {
	switch verb {
	case "build":
		return kubernetes.Build(ctx, os.Stderr)
	case "":
	default:
		return fmt.Errorf("%q is no verb here: build, or none", verb)
	}
	d, err := kubernetes.Find()
	if err != nil {
		return err
	}
	a, err := kubernetes.Start(ctx, d)
	if err != nil {
		return err
	}
	defer a.Close()
	dir, err := os.MkdirTemp("", "dalamb-account-")
	if err != nil {
		return fmt.Errorf("make a directory for an account: %w", err)
	}
	defer os.RemoveAll(dir)
	for name, text := range map[string][]byte{"token": []byte(a.Token), "ca.crt": a.CA} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return fmt.Errorf("write an account: %w", err)
		}
	}
	fmt.Printf(`kubernetes:                 # settings of a node, for dalamb up --config
  url: %[1]s
  account: %[2]s

  curl --cacert %[2]s/ca.crt -H "Authorization: Bearer $(cat %[2]s/token)" %[1]s/apis/discovery.k8s.io/v1/endpointslices
  Ctrl-C, or kill %[3]d: it ends, and what was stored goes
`, a.URL, dir, os.Getpid())
	<-ctx.Done()
	return nil
}
