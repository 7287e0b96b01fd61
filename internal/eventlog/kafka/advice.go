package kafka

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// ownTopics is how the names of dalamb's own topics begin.
const ownTopics = "_dalamb."

// wantedRights are the operations that a node needs on dalamb's own topics, by their numbers in Kafka's protocol.
func wantedRights() []right {
	return []right{{3, "Read"}, {4, "Write"}, {7, "Alter"}, {6, "Delete"}, {10, "DescribeConfigs"}, {11, "AlterConfigs"}}
}

type right struct {
	bit  int
	name string
}

// Advise is eventlog.Adviser's: copies of dalamb's own topics, replicas in sync that a write waits for, and this user's rights.
func (l *Log) Advise(ctx context.Context) ([]string, error) {
	ctx, leave, err := l.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	req := kmsg.NewPtrMetadataRequest()
	req.IncludeTopicAuthorizedOperations = true
	resp, err := req.RequestWith(ctx, l.client)
	if err != nil {
		return nil, action(l.failure(err), "describe the cluster")
	}
	var own []*topic
	few, copies := []string(nil), math.MaxInt
	rights := map[string][]string{} // what is lacking -> topics
	for _, rt := range resp.Topics {
		if rt.Topic == nil || rt.ErrorCode != 0 || !strings.HasPrefix(*rt.Topic, ownTopics) {
			continue
		}
		own = append(own, topicOf(rt))
		least := math.MaxInt
		for _, p := range rt.Partitions {
			least = min(least, len(p.Replicas))
		}
		if least < 3 {
			few, copies = append(few, *rt.Topic), min(copies, least)
		}
		if lacking := lackingRights(rt.AuthorizedOperations); lacking != "" {
			rights[lacking] = append(rights[lacking], *rt.Topic)
		}
	}
	configs, err := l.configs(ctx, own)
	if err != nil {
		return nil, action(err, "describe the cluster")
	}
	var lax []string
	for _, t := range own {
		if number(configs[t.name]["min.insync.replicas"], 1) < 2 {
			lax = append(lax, t.name)
		}
	}
	var advice []string
	if len(few) > 0 {
		advice = append(advice, fmt.Sprintf("fewer than 3 copies, at least %d, of %s (brokers: %d): a broker that is lost may take what was acknowledged with it",
			copies, some(few), len(resp.Brokers)))
	}
	if len(lax) > 0 {
		advice = append(advice, fmt.Sprintf("min.insync.replicas is below 2 on %s: a write is acknowledged when one broker has it", some(lax)))
	}
	for lacking, topics := range rights {
		advice = append(advice, fmt.Sprintf("this user may not %s on %s", lacking, some(topics)))
	}
	slices.Sort(advice)
	return advice, nil
}

// some names topics, few enough to read.
func some(topics []string) string {
	slices.Sort(topics)
	const shown = 3
	if len(topics) == 1 {
		return "topic " + topics[0]
	}
	s := "topics " + strings.Join(topics[:min(len(topics), shown)], ", ")
	if len(topics) > shown {
		s += fmt.Sprintf(" and %d more", len(topics)-shown)
	}
	return s
}

// lackingRights names what a set of operations lacks; "" when nothing, or when the cluster does not say.
func lackingRights(operations int32) string {
	if operations == math.MinInt32 {
		return ""
	}
	var lacking []string
	for _, r := range wantedRights() {
		if operations&(1<<r.bit) == 0 {
			lacking = append(lacking, r.name)
		}
	}
	return strings.Join(lacking, ", ")
}
