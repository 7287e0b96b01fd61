// Package kafka is the event log of many machines: Apache Kafka below the port of package eventlog, spoken to through
// franz-go. It does not retry what its callers can retry, and it keeps nothing of its own outside Kafka.
package kafka
