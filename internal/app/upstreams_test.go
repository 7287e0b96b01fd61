package app

import (
	"testing"

	"github.com/dalamb/dalamb/internal/config"
	"github.com/dalamb/dalamb/internal/upstream"
)

// TestANodeInAPodKnowsItsKubernetes by what Kubernetes puts into the environment; what the settings say is stronger.
func TestANodeInAPodKnowsItsKubernetes(t *testing.T) {
	const usual = "/var/run/secrets/kubernetes.io/serviceaccount"
	for _, c := range []struct {
		host, port, url string
		want            upstream.Cluster
	}{
		{"", "", "", upstream.Cluster{Account: usual}},
		{"10.96.0.1", "443", "", upstream.Cluster{URL: "https://10.96.0.1:443", Account: usual}},
		{"fd00::1", "", "", upstream.Cluster{URL: "https://[fd00::1]:443", Account: usual}},
		{"10.96.0.1", "443", "https://10.0.0.1:6443", upstream.Cluster{URL: "https://10.0.0.1:6443", Account: usual}},
	} {
		n := &Node{config: config.Default(), getenv: func(name string) string {
			return map[string]string{"KUBERNETES_SERVICE_HOST": c.host, "KUBERNETES_SERVICE_PORT": c.port}[name]
		}}
		n.config.Kubernetes.URL = c.url
		if got := n.cluster(); got != c.want {
			t.Errorf("with %s, %s and %s the cluster is %+v, want %+v", c.host, c.port, c.url, got, c.want)
		}
	}
}
