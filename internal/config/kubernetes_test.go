package config

import (
	"strings"
	"testing"
)

func TestWhereKubernetesIs(t *testing.T) {
	n, err := Load(Source{File: file(t, "kubernetes: {url: 'https://10.0.0.1:6443', account: /etc/dalamb/kubernetes}\n")})
	if err != nil || n.Kubernetes != (Kubernetes{URL: "https://10.0.0.1:6443", Account: "/etc/dalamb/kubernetes"}) {
		t.Errorf("Load = %+v, %v", n.Kubernetes, err)
	}
	for text, want := range map[string]string{
		"kubernetes: {url: 'http://10.0.0.1'}":   `kubernetes.url is "http://10.0.0.1", not an address such as https://10.0.0.1:6443`,
		"kubernetes: {url: 'https://u:p@h'}":     "kubernetes.url",
		"kubernetes: {url: 'https://h?token=x'}": "kubernetes.url",
		"kubernetes: {account: ''}":              "kubernetes.account may not be empty",
	} {
		if _, err := Load(Source{File: file(t, text)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error = %v, want %q", text, err, want)
		}
	}
}
