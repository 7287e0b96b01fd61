package function

import (
	"cmp"
	"crypto/x509"
	"regexp"
	"strconv"
	"strings"
)

// UpstreamKubernetes are the endpoints of a service in Kubernetes.
type UpstreamKubernetes struct {
	Service   string `json:"service"`
	Namespace string `json:"namespace,omitempty"` // "" = default
	Port      string `json:"port,omitempty"`      // its name, or the number that the endpoints listen on; "" = the only one
	URL       string `json:"url,omitempty"`       // of the API; "" = that of the cluster that the node has an account at
	Token     string `json:"token,omitempty"`     // the secret that holds it; "" = none
	CA        string `json:"ca,omitempty"`        // PEM; "" = the authorities of the machine
}

// InNamespace is where the service is.
func (k *UpstreamKubernetes) InNamespace() string { return cmp.Or(k.Namespace, "default") }

// Name is the service's with its namespace, for people.
func (k *UpstreamKubernetes) Name() string { return k.InNamespace() + "/" + k.Service }

// validLabel is a name of a service, a namespace or a port. Kubernetes, "Object Names and IDs", RFC 1123 label names.
var validLabel = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

func upstreamKubernetesValue() value[UpstreamKubernetes] {
	return object([]string{"service"},
		field("service", "The service's name there.", text[string](), func(k *UpstreamKubernetes) *string { return &k.Service }),
		field("namespace", "The namespace that it is in. Default: default.", text[string](), func(k *UpstreamKubernetes) *string { return &k.Namespace }),
		field("port", "The port's name, or the number that the endpoints listen on (not the service's own). Default: the only one.", word(), func(k *UpstreamKubernetes) *string { return &k.Port }),
		field("url", "Where the API is: https://HOST:PORT. Default: that of the cluster that the node has an account at, which its settings name, or whose pod it is.", text[string](), func(k *UpstreamKubernetes) *string { return &k.URL }),
		field("token", "url only: the secret that holds a token for the API. Default: none.", text[string](), func(k *UpstreamKubernetes) *string { return &k.Token }),
		field("ca", "url only: the certificates of the authorities that are believed, in PEM. Default: those of the node's machine.", text[string](), func(k *UpstreamKubernetes) *string { return &k.CA }),
	)
}

func (c *checker) upstreamKubernetes(at string, k *UpstreamKubernetes) {
	if k == nil {
		return
	}
	const hint = "lower-case letters, digits and inner hyphens, at most 63"
	if !validLabel.MatchString(k.Service) {
		c.add(at+".service", hint, "%q is no name for a service", clip(k.Service))
	}
	if k.Namespace != "" && !validLabel.MatchString(k.Namespace) {
		c.add(at+".namespace", hint, "%q is no name for a namespace", clip(k.Namespace))
	}
	if n, err := strconv.Atoi(k.Port); err == nil {
		between(c.at(at+".port"), n, 1, 65535)
	} else if k.Port != "" && !validLabel.MatchString(k.Port) {
		c.add(at+".port", "such as http, or 8080", "%q is no port", clip(k.Port))
	}
	if k.Token != "" {
		c.name(at+".token", k.Token, "secret")
	}
	switch {
	case len(k.CA) > maxUpstreamCA:
		c.add(at+".ca", "", "has %d bytes; it may have %d", len(k.CA), maxUpstreamCA)
	case k.CA != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(k.CA)):
		c.add(at+".ca", "ca: | and below it -----BEGIN CERTIFICATE----- and the rest", "has no certificate in PEM")
	}
	if k.URL == "" {
		if k.Token != "" || k.CA != "" {
			c.add(at, "write url too, or neither token nor ca", "without url the node asks its own cluster, by its own account")
		}
		return
	}
	c.directory(at+".url", k.URL)
	if !strings.HasPrefix(k.URL, "https://") && (k.Token != "" || k.CA != "") {
		c.add(at+".url", "https://", "token and ca take https, so that nobody else sees the token")
	}
}
