package gateway

import (
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
)

// shardOf is the shard of a key: the number of the partition that an event of that key has in a topic of so many.
func (s *scattering) shardOf(key string) int {
	return int(eventlog.PartitionFor([]byte(key), int32(len(s.leaves))))
}

// whom are the leaves that a request with these keys is for; without a key all are.
func (s *scattering) whom(keys []string) []asked {
	if len(keys) == 0 {
		return s.leaves
	}
	meant := make([]bool, len(s.leaves))
	for _, key := range keys {
		meant[s.shardOf(key)] = true
	}
	var some []asked
	for i, l := range s.leaves {
		if meant[i] {
			some = append(some, l)
		}
	}
	return some
}

// questions are what the leaves are asked, and the memory of those that have a body of their own.
type questions struct {
	*holding
	questions []*Call
}

// split gives each shard its own keys alone, where the rule wants that; else all are asked the same.
func (s *scattering) split(keys []string, whom []asked, q *Call) (questions, error) {
	all := questions{&holding{budget: &s.g.held}, make([]*Call, len(whom))}
	all.keep()
	for i, l := range whom {
		all.questions[i] = q
		if s.rule.By == nil || !s.rule.By.Split || len(keys) == 0 {
			continue
		}
		one := q.first()
		own := func(key string) bool { return s.shardOf(key) == l.number }
		if s.rule.By.Body == "" {
			s.rule.By.Only(one.Request, nil, own)
		} else {
			size := int64(len(q.Body)) // at most
			if !s.g.held.take(size) {
				return all, fault.New(fault.Exhausted, "the gateway holds as many request bodies as it may").WithHint("send it again in a moment")
			}
			all.bytes += size
			one.Body = s.rule.By.Only(one.Request, q.Body, own)
			one.Request.Body, one.Request.ContentLength = newMemory(one.Body), int64(len(one.Body))
		}
		all.questions[i] = one
	}
	return all, nil
}
