package cli

import (
	"reflect"
	"testing"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/config"
)

// told is a node that a file has told all places to.
func told() *config.Node {
	n := config.Default()
	n.Logs.Ship = config.Sinks{{Kind: config.SinkStdout}}
	n.Callbacks.Allow = []string{"10.0.0.0/8"}
	n.OTLP.Endpoint = "http://collector.example:4317"
	n.Audit.Checkpoints = "git+https://git.example/checkpoints"
	n.TLS.ACME.Domains = []string{"shop.example"}
	n.TLS.Redirect, n.TLS.Clients = ":80", "clients.pem"
	return n
}

func TestAnIncidentHappensAgainOnANodeOfItsOwn(t *testing.T) {
	at := func(flags ...string) *config.Node {
		c := &cobra.Command{}
		for _, name := range []string{"otlp", "audit", "acme-domain"} {
			c.Flags().String(name, "", "")
		}
		if err := c.ParseFlags(flags); err != nil {
			t.Fatal(err)
		}
		n := told()
		alone(c, n)
		return n
	}
	if got, want := at(), config.Default(); !reflect.DeepEqual(got, want) {
		t.Errorf("what is left of another node is %+v, want %+v", got, want)
	}
	want := told()
	want.Logs.Ship, want.Callbacks.Allow = nil, nil // no flag says these
	if got := at("--otlp=x", "--audit=x", "--acme-domain=x"); !reflect.DeepEqual(got, want) {
		t.Errorf("what flags say is %+v, want %+v", got, want)
	}
}
