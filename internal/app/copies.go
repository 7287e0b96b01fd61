package app

import (
	"context"
	"hash/fnv"
	"strconv"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/config"
	"github.com/dalamb/dalamb/internal/copier"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

// copies shows copier to the API.
type copies struct{ *copier.Copier }

func (c copies) Progress(ctx context.Context, one *catalog.Copy) (wire.CopyProgress, error) {
	s, err := c.State(ctx, one)
	return wire.CopyProgress{Copied: s.Copied, Missed: s.Missed, Behind: s.Behind}, err
}

// others opens logs beside the node's own.
type others struct{ node *Node }

func (o others) Address(text string) (string, error) {
	l, err := otherLog(text)
	return l.String(), err
}

func (o others) Open(address string) (eventlog.Log, error) {
	l, err := otherLog(address)
	if err != nil {
		return nil, err
	}
	// What copies to the cluster that the node's own log is in must not end what the node has begun there.
	h := fnv.New32a()
	h.Write([]byte(address))
	return openKafka(o.node, kafkaUse{cluster: l.Kafka, as: "-copy-" + strconv.FormatUint(uint64(h.Sum32()), 16), flag: "--to-log"})
}

// otherLog reads the address of a log that a copy can go to.
func otherLog(text string) (config.EventLog, error) {
	var l config.EventLog
	if err := l.UnmarshalText([]byte(text)); err != nil {
		return l, fault.New(fault.Invalid, "log: the address %w", err).WithHint("%s", fault.HintOf(err))
	}
	if l.Kafka == nil {
		return l, fault.New(fault.Invalid, "log: one cannot copy to an embedded log from outside, because a single node has it open").
			WithHint("name a cluster: kafka://HOST:PORT; without a log the copy is made in the node's own")
	}
	return l, nil
}
