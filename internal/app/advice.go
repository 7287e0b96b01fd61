package app

import (
	"context"

	"github.com/dalamb/dalamb/internal/eventlog"
)

const plainWithoutTLS = "sasl=plain without TLS shows the password to whoever listens on the network"

// advise logs what of the log's set-up its owner may want to change.
func (n *Node) advise(ctx context.Context) {
	if k := n.config.EventLog.Kafka; k != nil && k.SASL == "plain" && !k.TLS {
		n.logger.Warn("the log could be set up better", "note", plainWithoutTLS)
	}
	a, ok := n.log.(eventlog.Adviser)
	if !ok {
		return
	}
	notes, err := a.Advise(ctx)
	if err != nil {
		n.logger.Warn("how the log is set up could not be looked at", "err", err)
	}
	for _, note := range notes {
		n.logger.Warn("the log could be set up better", "note", note, "page", "docs/kafka.md")
	}
}
