package app

import (
	"context"

	"github.com/dalamb/dalamb/internal/seal"
)

// openSeals puts the log that seals over that which stores. All but the audit have it from here on: what is stored is what the audit's proofs are about.
func (n *Node) openSeals() (err error) {
	n.stored = n.log
	n.log, n.seals, err = seal.Over(seal.Options{Log: n.stored, Box: n.secrets, Logger: n.logger, Sealed: n.isSealed})
	if err != nil {
		n.log = n.stored
	}
	return err
}

// isSealed is what the topic's rules say; none are known before there is a catalog.
func (n *Node) isSealed(topic string) bool {
	return n.catalog != nil && n.catalog.View().Rules(topic).Seal
}

func (n *Node) followSeals(ctx context.Context) error { return n.seals.Run(ctx, n.logger) }
