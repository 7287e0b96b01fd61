package app

import (
	"crypto/hmac"
	"crypto/sha256"
	"net/http"
	"path/filepath"

	"github.com/dalamb/dalamb/internal/aws"
)

// openAWS makes the handler of AWS's API, which asks the control API for what it changes.
func (n *Node) openAWS(token string) error {
	key := hmac.New(sha256.New, []byte(token))
	key.Write([]byte("dalamb links to code v1")) // a hash takes everything
	var brokers []string
	if kafka := n.config.EventLog.Kafka; kafka != nil {
		brokers = kafka.Brokers
	}
	var err error
	n.aws, err = aws.New(aws.Options{
		Catalog: n.catalog, Control: n.api, Code: n.share, Secrets: n.secrets, Invoke: n.api.Signed(), Known: n.api.Known,
		Dir: filepath.Join(n.config.Data, "archives"), Key: key.Sum(nil), Gateway: n.Info().Gateway, Brokers: brokers, Warm: instances{n.fleet}.warm, Runtimes: n.config.AWS.Runtimes, Instances: n.fleet.Most, Discreet: n.api.Discreet, Logger: n.logger,
	})
	if err != nil {
		return err
	}
	n.events, err = aws.NewEventBridge(aws.EventBridgeOptions{Lambda: n.aws, Topics: n.api, Passage: n.api, Ingest: n.gateway})
	return err
}

// root is what is asked of the control listener itself: the API's own, and AWS's APIs that name an operation by a header.
func (n *Node) root(w http.ResponseWriter, r *http.Request) {
	if aws.Wants(r) {
		n.events.ServeHTTP(w, r)
		return
	}
	n.api.ServeHTTP(w, r)
}
