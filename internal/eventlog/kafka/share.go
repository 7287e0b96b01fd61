package kafka

import (
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// balancer shares out a group's partitions. To Kafka it is cooperative-sticky, and it uses that one's words for what members want and have.
// So members that share out in another way under that name, as older nodes do, can be in the group: one member decides for all, and
// what changes hands is given back first, whoever decides.
type balancer struct{ kgo.GroupBalancer }

func newBalancer() balancer { return balancer{kgo.CooperativeStickyBalancer()} }

// MemberBalancer is kgo.GroupBalancer's.
func (b balancer) MemberBalancer(members []kmsg.JoinGroupResponseMember) (kgo.GroupMemberBalancer, map[string]struct{}, error) {
	mb, err := kgo.NewConsumerBalancer(b, members)
	return mb, mb.MemberTopics(), err
}

// Balance is kgo.ConsumerBalancerBalance's.
func (balancer) Balance(b *kgo.ConsumerBalancer, partitions map[string]int32) kgo.IntoSyncAssignment {
	var members []claimant
	var ids []*kmsg.JoinGroupResponseMember
	b.EachMember(func(m *kmsg.JoinGroupResponseMember, meta *kmsg.ConsumerMemberMetadata) {
		c := claimant{generation: meta.Generation, wants: meta.Topics, has: make(map[string][]int32)}
		for _, o := range meta.OwnedPartitions {
			c.has[o.Topic] = append(c.has[o.Topic], o.Partitions...)
		}
		members, ids = append(members, c), append(ids, m)
	})
	plan := b.NewPlan()
	for i, given := range share(members, partitions) {
		for topic, ps := range given {
			plan.AddPartitions(ids[i], topic, ps)
		}
	}
	plan.AdjustCooperative(b)
	return plan
}

// claimant is what a member says of itself.
type claimant struct {
	generation int32 // in which it was given what it has; of two that say that they have the same the later one has it
	wants      []string
	has        map[string][]int32
}

// share says which partitions each member is to have, by topic. Of each topic every member that wants it gets as many as any other, or one
// more or fewer; so a topic is never one node's alone where others could help. In all the members have as many as each other, as far
// as that goes. Of all shares for which that holds it is one that takes the fewest partitions from members that have them.
func share(members []claimant, partitions map[string]int32) []map[string][]int32 {
	s := sharing{totals: make([]int, len(members))}
	for _, name := range slices.Sorted(maps.Keys(partitions)) {
		if t := newShared(name, int(partitions[name]), members); t != nil {
			s.topics = append(s.topics, t)
			s.begin(t)
		}
	}
	s.even()
	given := make([]map[string][]int32, len(members))
	for m := range given {
		given[m] = make(map[string][]int32)
	}
	for _, t := range s.topics {
		for p, m := range t.settle() {
			given[m][t.name] = append(given[m][t.name], int32(p))
		}
	}
	return given
}

// shared is a topic that is being shared out. Each member that wants it gets floor partitions, and those that have an extra get one more.
type shared struct {
	name   string
	floor  int
	extras int
	owners []int  // member by partition, -1 = nobody
	wants  []bool // by member
	had    []int  // how many partitions a member has, by member
	extra  []bool // by member
}

// newShared returns nil for a topic that nobody wants.
func newShared(name string, partitions int, members []claimant) *shared {
	t := &shared{name: name, owners: make([]int, partitions), wants: make([]bool, len(members)), had: make([]int, len(members)), extra: make([]bool, len(members))}
	n := 0
	for m := range members {
		if t.wants[m] = slices.Contains(members[m].wants, name); t.wants[m] {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	t.floor, t.extras = partitions/n, partitions%n
	for p := range t.owners {
		t.owners[p] = -1
	}
	for m, c := range members {
		for _, p := range c.has[name] {
			if p < 0 || int(p) >= partitions || !t.wants[m] {
				continue
			}
			if before := t.owners[p]; before < 0 || members[before].generation < c.generation {
				t.owners[p] = m
			}
		}
	}
	for _, m := range t.owners {
		if m >= 0 {
			t.had[m]++
		}
	}
	return t
}

// saves says that a member with an extra keeps a partition which it would lose without.
func (t *shared) saves(m int) int {
	if t.had[m] > t.floor {
		return 1
	}
	return 0
}

// settle says who is to have each partition: members keep what they have as far as it is theirs, and the rest fills up the others.
func (t *shared) settle() []int {
	room := make([]int, len(t.wants))
	for m, wants := range t.wants {
		if wants {
			room[m] = t.floor
		}
		if t.extra[m] {
			room[m]++
		}
	}
	owners := slices.Clone(t.owners)
	for p, m := range owners {
		if m < 0 || room[m] == 0 {
			owners[p] = -1
			continue
		}
		room[m]--
	}
	next := 0
	for p, m := range owners {
		if m >= 0 {
			continue
		}
		for room[next] == 0 {
			next++
		}
		owners[p] = next
		room[next]--
	}
	return owners
}

// sharing is the topics that are being shared out, and how many partitions each member gets of them.
type sharing struct {
	topics []*shared
	totals []int
}

// begin gives out a topic's extras so that the fewest partitions change hands, and where it does not matter to who has least.
func (s *sharing) begin(t *shared) {
	var order []int
	for m, wants := range t.wants {
		if wants {
			s.totals[m] += t.floor
			order = append(order, m)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		if d := t.saves(b) - t.saves(a); d != 0 {
			return d
		}
		return s.totals[a] - s.totals[b]
	})
	for _, m := range order[:t.extras] {
		t.extra[m] = true
		s.totals[m]++
	}
}

// even hands extras on until no member has two partitions more than another that could have one of them, over others if need be, and until none
// that is as even would move fewer partitions. Each step makes the totals more even, or keeps partitions where they are, so that it ends.
// It is the way of successive shortest paths to a flow of least cost: begin has made one, and each step keeps it one.
func (s *sharing) even() {
	for {
		g := s.handOvers()
		from, to := g.best(s.totals)
		if from < 0 {
			return
		}
		g.walk(from, to, func(a, b int) {
			t := s.topics[g.topic[a][b]]
			t.extra[a], t.extra[b] = false, true
		})
		s.totals[from]--
		s.totals[to]++
	}
}

// handOvers are the ways in which members can hand on extras.
type handOvers struct {
	topic [][]int // of the cheapest way from one member straight to another
	cost  [][]int // of the cheapest way, over others too
	next  [][]int // the member after the first on that way
}

const (
	noWay = 1 << 40
	// perMove is the cost of a partition that changes hands; of ways that move as many the one over the fewest members is best.
	perMove = 1 << 20
)

func (s *sharing) handOvers() *handOvers {
	n := len(s.totals)
	g := &handOvers{topic: square(n, -1), cost: square(n, noWay), next: square(n, -1)}
	for i, t := range s.topics {
		for a, has := range t.extra {
			if !has {
				continue
			}
			for b, wants := range t.wants {
				if !wants || t.extra[b] {
					continue
				}
				if c := (t.saves(a)-t.saves(b))*perMove + 1; c < g.cost[a][b] {
					g.cost[a][b], g.topic[a][b], g.next[a][b] = c, i, b
				}
			}
		}
	}
	for k := range n {
		for a := range n {
			for b := range n {
				if c := g.cost[a][k] + g.cost[k][b]; a != b && g.next[a][k] >= 0 && g.next[k][b] >= 0 && c < g.cost[a][b] {
					g.cost[a][b], g.next[a][b] = c, g.next[a][k]
				}
			}
		}
	}
	return g
}

// best returns the ends of the way that does the most good; -1 when none does any.
func (g *handOvers) best(totals []int) (from, to int) {
	from, to = -1, -1
	most, least := 0, 0
	for a := range totals {
		for b := range totals {
			gain := totals[a] - totals[b]
			good := gain >= 2 || gain == 1 && g.cost[a][b] < 0
			if g.next[a][b] < 0 || !good {
				continue
			}
			if gain > most || gain == most && g.cost[a][b] < least {
				from, to, most, least = a, b, gain, g.cost[a][b]
			}
		}
	}
	return from, to
}

func (g *handOvers) walk(from, to int, each func(a, b int)) {
	for from != to {
		via := g.next[from][to]
		each(from, via)
		from = via
	}
}

func square(n, with int) [][]int {
	rows := make([][]int, n)
	for i := range rows {
		rows[i] = slices.Repeat([]int{with}, n)
	}
	return rows
}
