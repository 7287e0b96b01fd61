package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

// Size is eventlog.Sizer's, by what the brokers say of their directories: of each partition the largest copy. This user needs Describe on the cluster.
// KIP-113.
func (l *Log) Size(ctx context.Context, name string) (int64, error) {
	ctx, leave, err := l.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer leave()
	found, err := l.describe(ctx, []string{name})
	if err != nil {
		return 0, err
	}
	t := found[name]
	if t == nil {
		return 0, eventlog.MissingTopic(name, nil)
	}
	of := kmsg.NewDescribeLogDirsRequestTopic()
	of.Topic = name
	for id := range t.leaders {
		of.Partitions = append(of.Partitions, int32(id))
	}
	req := kmsg.NewPtrDescribeLogDirsRequest()
	req.Topics = append(req.Topics, of)
	largest := map[int32]int64{}
	for _, shard := range l.client.RequestSharded(ctx, req) {
		if shard.Err != nil {
			return 0, l.failure(shard.Err)
		}
		resp, ok := shard.Resp.(*kmsg.DescribeLogDirsResponse)
		if !ok {
			return 0, fmt.Errorf("describe the directories of broker %d: got a %T", shard.Meta.NodeID, shard.Resp)
		}
		if err := kerr.ErrorForCode(resp.ErrorCode); errors.Is(err, kerr.ClusterAuthorizationFailed) {
			return 0, fault.New(fault.Denied, "the Kafka user may not know what topic %s takes: %w", name, err).WithHint("grant it Describe on the cluster")
		} else if err != nil {
			return 0, l.failure(err)
		}
		for _, dir := range resp.Dirs {
			if err := kerr.ErrorForCode(dir.ErrorCode); err != nil {
				continue // a disk that is lost has copies elsewhere
			}
			for _, in := range dir.Topics {
				for _, p := range in.Partitions {
					if in.Topic == name && !p.IsFuture {
						largest[p.Partition] = max(largest[p.Partition], p.Size)
					}
				}
			}
		}
	}
	var bytes int64
	for _, n := range largest {
		bytes += n
	}
	return bytes, nil
}
