package kafka

import (
	"context"
	"errors"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

// kinds says what Kafka's errors mean to a caller. What is not here is Unavailable where Kafka says that it passes, else Internal.
func kindOf(e *kerr.Error) fault.Kind {
	switch e {
	case kerr.UnknownTopicOrPartition, kerr.UnknownTopicID, kerr.InconsistentTopicID:
		return fault.NotFound
	case kerr.TopicAlreadyExists, kerr.NonEmptyGroup, kerr.UnknownMemberID, kerr.IllegalGeneration, kerr.RebalanceInProgress:
		return fault.Conflict
	case kerr.InvalidTopicException, kerr.InvalidPartitions, kerr.InvalidReplicationFactor, kerr.InvalidConfig, kerr.InvalidRequest,
		kerr.PolicyViolation, kerr.InvalidTimestamp, kerr.InvalidRecord, kerr.InvalidGroupID:
		return fault.Invalid
	case kerr.MessageTooLarge, kerr.RecordListTooLarge, kerr.OffsetMetadataTooLarge:
		return fault.TooLarge
	case kerr.TopicAuthorizationFailed, kerr.GroupAuthorizationFailed, kerr.ClusterAuthorizationFailed,
		kerr.TransactionalIDAuthorizationFailed, kerr.TopicDeletionDisabled:
		return fault.Denied
	case kerr.SaslAuthenticationFailed, kerr.IllegalSaslState, kerr.UnsupportedSaslMechanism:
		return fault.Unauthenticated
	case kerr.ThrottlingQuotaExceeded:
		return fault.Exhausted
	}
	if e.Retriable {
		return fault.Unavailable
	}
	return fault.Internal
}

// failure gives an error of the client or of a broker its kind, message and hint.
func (l *Log) failure(err error) error {
	var (
		f *fault.Error
		k *kerr.Error
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &f):
		return err
	case l.life.ended(), errors.Is(err, kgo.ErrClientClosed):
		return eventlog.ErrClosed
	case errors.As(err, &k):
		return l.answered(k, err)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return err
	}
	if f := l.stranger(err); f != nil {
		return f
	}
	return fault.New(fault.Unavailable, "no Kafka broker answers at %s: %w", l.brokers(), err).
		WithHint("start Kafka, or correct the address; what was asked for is not done, so ask again then")
}

// silence is failure for what had to end in the log's own time, not in a caller's.
func (l *Log) silence(err error) error {
	var f *fault.Error
	if errors.As(err, &f) || !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fault.New(fault.Unavailable, "Kafka at %s does not answer in time: %w", l.brokers(), err).
		WithHint("look after the brokers; what was asked for may have been done all the same")
}

// answered is failure for what a broker has said.
func (l *Log) answered(k *kerr.Error, err error) error {
	kind := kindOf(k)
	f := fault.New(kind, "Kafka at %s: %w", l.brokers(), err)
	switch kind {
	case fault.Denied:
		return f.WithHint("give this node's Kafka user the right (an ACL); docs/kafka.md lists those it needs")
	case fault.Unauthenticated:
		return f.WithHint("correct the SASL user, password or mechanism")
	case fault.Unavailable:
		return f.WithHint("look after the brokers; dalamb goes on by itself")
	}
	return f
}

func (l *Log) brokers() string { return strings.Join(l.o.Brokers, ",") }

// code is failure for a code in an answer, with the broker's own words where there are some.
func (l *Log) code(code int16, message *string) error {
	err := kerr.ErrorForCode(code)
	var k *kerr.Error
	if message == nil || *message == "" || !errors.As(err, &k) {
		return l.failure(err)
	}
	f := fault.New(kindOf(k), "Kafka at %s: %s", l.brokers(), strings.ReplaceAll(*message, "\n", " "))
	f.Err = err
	return f
}

// lostIdentity says whether an error means that a producer's identity is another's by now, or was given up by Kafka.
func lostIdentity(err error) bool {
	var k *kerr.Error
	if !errors.As(err, &k) {
		return false
	}
	switch k {
	case kerr.InvalidProducerEpoch, kerr.ProducerFenced, kerr.InvalidProducerIDMapping, kerr.OutOfOrderSequenceNumber,
		kerr.DuplicateSequenceNumber, kerr.UnknownProducerID, kerr.InvalidTxnState, kerr.TransactionAbortable, kerr.ConcurrentTransactions:
		return true
	}
	return false
}

// passing makes an error that a new identity mends one that passes.
func passing(err error) error {
	if lostIdentity(err) {
		return fault.New(fault.Unavailable, "transaction: %w", err)
	}
	return err
}
