package upstream

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// kubernetesName is what people call it.
const kubernetesName = "Kubernetes"

// Cluster is a Kubernetes that the node has an account at.
type Cluster struct {
	URL     string // of its API, https; "" = there is none
	Account string // directory with the files token and ca.crt, as Kubernetes gives it to a pod: Kubernetes, "Accessing the Kubernetes API from a Pod"
}

// apiServer is a Kubernetes API, with who asks it.
type apiServer struct {
	*directory
	token func() (string, error) // read for each question, since it changes; "" = nobody in particular
}

// open finds the API: what the manifest names is asked with what the manifest names, and only the node's own cluster gets to see the node's own token.
func (k *kubernetes) open() (*apiServer, error) {
	if k.rule.URL != "" {
		secured := &tls.Config{}
		if k.rule.CA != "" {
			secured.RootCAs = x509.NewCertPool()
			secured.RootCAs.AppendCertsFromPEM([]byte(k.rule.CA)) // the manifest was checked
		}
		return &apiServer{newDirectory(kubernetesName, k.rule.URL, secured), k.secretToken}, nil
	}
	if k.cluster.URL == "" {
		return nil, errors.New("this node belongs to no Kubernetes: say which one by kubernetes.url in the manifest, or by the node's setting kubernetes.url")
	}
	path := filepath.Join(k.cluster.Account, "ca.crt")
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the authorities of Kubernetes: %w", err)
	}
	secured := &tls.Config{RootCAs: x509.NewCertPool()}
	if !secured.RootCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read the authorities of Kubernetes: %s has no certificate in PEM", path)
	}
	return &apiServer{newDirectory(kubernetesName, k.cluster.URL, secured), k.accountToken}, nil
}

func (k *kubernetes) secretToken() (string, error) {
	if k.rule.Token == "" {
		return "", nil
	}
	token, _, err := k.secret(k.rule.Token)
	if err != nil {
		return "", fmt.Errorf("open the token for Kubernetes: %w", err)
	}
	return strings.TrimSpace(string(token)), nil
}

// accountToken is that of the node's account. Kubernetes writes a new one long before the old one is over.
func (k *kubernetes) accountToken() (string, error) {
	token, err := os.ReadFile(filepath.Join(k.cluster.Account, "token"))
	if err != nil {
		return "", fmt.Errorf("read the node's token for Kubernetes: %w", err)
	}
	return strings.TrimSpace(string(token)), nil
}
