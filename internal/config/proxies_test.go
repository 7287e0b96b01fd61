package config

import (
	"fmt"
	"strings"
	"testing"
)

func TestProxiesAreNetworks(t *testing.T) {
	n, err := Load(Source{Set: map[string]string{"proxies.trusted": "10.0.0.0/8, 192.0.2.7,2001:DB8::/32,::ffff:192.0.2.8", "proxies.header": "forwarded"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(n.Proxies.Networks()); got != "[10.0.0.0/8 192.0.2.7/32 2001:db8::/32 192.0.2.8/32]" {
		t.Errorf("Networks = %s", got)
	}
	for text, want := range map[string]string{
		"10.0.0.1/8": "which is no network", "proxy.example": "which is no network", "0.0.0.0/0": "which is everybody", "::/0": "which is everybody", "fe80::1%eth0": "which is no network", "10.0.0.0/33": "which is no network",
	} {
		if _, err := Load(Source{Set: map[string]string{"proxies.trusted": text}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: Load = %v, want %s", text, err, want)
		}
	}
}
