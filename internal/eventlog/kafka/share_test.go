package kafka

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// drawTopics draws how many partitions each of some topics has.
func drawTopics(t *rapid.T, most int, widest int32) map[string]int32 {
	topics := make(map[string]int32)
	for i := range rapid.IntRange(0, most).Draw(t, "topics") {
		topics[fmt.Sprint("t", i)] = rapid.Int32Range(0, widest).Draw(t, "partitions")
	}
	return topics
}

// drawClaimants draws members that want all topics, or some, and say whatever of what they have.
func drawClaimants(t *rapid.T, most int, topics map[string]int32) []claimant {
	all := rapid.Bool().Draw(t, "all want all")
	members := make([]claimant, rapid.IntRange(1, most).Draw(t, "members"))
	for m := range members {
		c := claimant{generation: rapid.Int32Range(-1, 3).Draw(t, "generation"), has: make(map[string][]int32)}
		for _, name := range slices.Sorted(maps.Keys(topics)) {
			if all || rapid.Bool().Draw(t, "wants") {
				c.wants = append(c.wants, name)
			}
			if rapid.Bool().Draw(t, "has") {
				c.has[name] = rapid.SliceOfN(rapid.Int32Range(-1, topics[name]), 0, 4).Draw(t, "has")
			}
		}
		members[m] = c
	}
	return members
}

// judged is what matters of a share.
type judged struct {
	uneven int // the sum of the squares of what members have in all
	moved  int // partitions that are taken from who has them
}

func (j judged) less(other judged) bool {
	return j.uneven < other.uneven || j.uneven == other.uneven && j.moved < other.moved
}

// judge fails a share in which a partition is not somebody's alone who wants it, or a topic is not even.
func judge(t rapid.TB, members []claimant, topics map[string]int32, given []map[string][]int32) (j judged) {
	totals := make([]int, len(members))
	for name, partitions := range topics {
		owners := make(map[int32]int)
		var wanting []int
		for m, c := range members {
			ps := given[m][name]
			if slices.Contains(c.wants, name) {
				wanting = append(wanting, len(ps))
			} else if len(ps) > 0 {
				t.Fatalf("member %d gets %s %v, which it does not want", m, name, ps)
			}
			totals[m] += len(ps)
			for _, p := range ps {
				if before, twice := owners[p]; twice {
					t.Fatalf("%s/%d is given to %d and %d", name, p, before, m)
				}
				owners[p] = m
			}
		}
		if len(wanting) == 0 {
			continue
		}
		if len(owners) != int(partitions) {
			t.Fatalf("%d of the %d partitions of %s are given to somebody", len(owners), partitions, name)
		}
		if slices.Max(wanting)-slices.Min(wanting) > 1 {
			t.Fatalf("those who want %s get %v partitions of it", name, wanting)
		}
		for p, before := range newShared(name, int(partitions), members).owners {
			if before >= 0 && owners[int32(p)] != before {
				j.moved++
			}
		}
	}
	for _, n := range totals {
		j.uneven += n * n
	}
	return j
}

func TestEachTopicIsSharedOutEvenly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		topics := drawTopics(t, 200, 12)
		members := drawClaimants(t, 20, topics)
		given := share(members, topics)
		judge(t, members, topics, given)
		if again := share(members, topics); !reflect.DeepEqual(given, again) {
			t.Fatal("the same members do not get the same again")
		}
	})
}

// best looks at every share that is even by topic.
func best(members []claimant, topics map[string]int32) judged {
	names := slices.Sorted(maps.Keys(topics))
	found := judged{uneven: 1 << 40}
	totals := make([]int, len(members))
	var try func(i, moved int)
	try = func(i, moved int) {
		if i == len(names) {
			j := judged{moved: moved}
			for _, n := range totals {
				j.uneven += n * n
			}
			if j.less(found) {
				found = j
			}
			return
		}
		s := newShared(names[i], int(topics[names[i]]), members)
		if s == nil {
			try(i+1, moved)
			return
		}
		for chosen := range 1 << len(members) {
			extras, taken, ok := 0, 0, true
			for m := range members {
				with := chosen>>m&1 == 1
				ok = ok && (s.wants[m] || !with)
				quota := s.floor
				if with {
					extras++
					quota++
				}
				taken += max(0, s.had[m]-quota)
			}
			if !ok || extras != s.extras {
				continue
			}
			add := func(sign int) {
				for m := range members {
					if s.wants[m] {
						totals[m] += sign * (s.floor + chosen>>m&1)
					}
				}
			}
			add(1)
			try(i+1, moved+taken)
			add(-1)
		}
	}
	try(0, 0)
	return found
}

func TestNoShareIsMoreEvenOrMovesLess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		topics := make(map[string]int32)
		for i := range rapid.IntRange(2, 5).Draw(t, "topics") {
			topics[fmt.Sprint("t", i)] = rapid.Int32Range(1, 7).Draw(t, "partitions")
		}
		members := drawClaimants(t, 5, topics)
		got, want := judge(t, members, topics, share(members, topics)), best(members, topics)
		if got != want {
			t.Fatalf("share of %v among %+v = %+v, want %+v", topics, members, got, want)
		}
	})
}

// TestWhoIsAsEvenMayStillMoveLess has members whose totals are as even as they can be before the fewest partitions move.
func TestWhoIsAsEvenMayStillMoveLess(t *testing.T) {
	topics := map[string]int32{"t0": 3, "t1": 4, "t2": 1, "t3": 4}
	members := []claimant{
		{wants: []string{"t1", "t2", "t3"}, has: map[string][]int32{"t0": {0, 1}, "t1": {2}, "t2": {0}, "t3": {0, 1, 2}}},
		{wants: []string{"t2"}, has: map[string][]int32{"t1": {0}}},
		{wants: []string{"t0", "t1", "t3"}, has: map[string][]int32{"t0": {2}, "t1": {1, 3}}},
		{wants: []string{"t0", "t1", "t2", "t3"}, has: map[string][]int32{"t3": {3}}},
	}
	if got, want := judge(t, members, topics, share(members, topics)), best(members, topics); got != want {
		t.Errorf("share() = %+v, want %+v", got, want)
	}
}

func TestShare(t *testing.T) {
	for _, tc := range []struct {
		name    string
		topics  map[string]int32
		members []claimant
		want    []map[string][]int32
	}{
		{"a topic is not one member's alone", map[string]int32{"a": 3, "b": 1, "c": 2},
			[]claimant{{wants: []string{"a", "b", "c"}, has: map[string][]int32{"c": {0, 1}}}, {wants: []string{"a", "b", "c"}, has: map[string][]int32{"a": {0, 1, 2}, "b": {0}}}},
			[]map[string][]int32{{"a": {1, 2}, "c": {0}}, {"a": {0}, "b": {0}, "c": {1}}}},
		{"of two that say that they have it the later one does", map[string]int32{"a": 1},
			[]claimant{{generation: 1, wants: []string{"a"}, has: map[string][]int32{"a": {0}}}, {generation: 2, wants: []string{"a"}, has: map[string][]int32{"a": {0}}}},
			[]map[string][]int32{{}, {"a": {0}}}},
	} {
		if got := share(tc.members, tc.topics); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: share() = %v, want %v", tc.name, got, tc.want)
		}
	}
}

// TestWhoComesAndGoesMovesLittle lets members join and leave. All want all topics then, so that their totals are even to one.
func TestWhoComesAndGoesMovesLittle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		topics := drawTopics(t, 200, 12)
		all := 0
		for _, n := range topics {
			all += int(n)
		}
		wants := slices.Sorted(maps.Keys(topics))
		members := make([]claimant, rapid.IntRange(1, 20).Draw(t, "members"))
		for m := range members {
			members[m].wants = wants
		}
		for range 4 {
			given := share(members, topics)
			for m := range members {
				members[m].has = given[m]
			}
			if j := judge(t, members, topics, share(members, topics)); j.moved > 0 {
				t.Fatalf("%d partitions move although nothing has changed", j.moved)
			}
			// Of those that the others had, who comes gets its part, and of who goes the others get theirs; what is even in all may cost a few more.
			few := len(topics)
			if n := len(members); n == 1 || n < 20 && rapid.Bool().Draw(t, "comes") {
				members = append(members, claimant{wants: wants})
				few += all/len(members) + 1
			} else {
				members = slices.Delete(members, 0, 1)
			}
			after := share(members, topics)
			if j := judge(t, members, topics, after); j.moved > few {
				t.Fatalf("%d of %d partitions move among %d members, want %d at most", j.moved, all, len(members), few)
			}
			var totals []int
			for _, g := range after {
				n := 0
				for _, ps := range g {
					n += len(ps)
				}
				totals = append(totals, n)
			}
			if slices.Max(totals)-slices.Min(totals) > 1 {
				t.Fatalf("members get %v partitions, want as many each", totals)
			}
		}
	})
}

// TestMembersOfBothSharersGetAlong has a group in which any member may be the one that decides, the way that dalamb did it before included:
// nothing is ever two members', and it comes to rest.
func TestMembersOfBothSharersGetAlong(t *testing.T) {
	before := kgo.CooperativeStickyBalancer()
	rapid.Check(t, func(t *rapid.T) {
		topics := drawTopics(t, 20, 12)
		wants := slices.Sorted(maps.Keys(topics))
		has := make([]map[string][]int32, rapid.IntRange(1, 6).Draw(t, "members"))
		for round, still := 0, 0; still < 2; round++ {
			if round == 20 {
				t.Fatal("after twenty rounds partitions still move")
			}
			members := make([]kmsg.JoinGroupResponseMember, len(has))
			for m, owned := range has {
				members[m].MemberID = fmt.Sprint("m", m)
				members[m].ProtocolMetadata = before.JoinGroupMetadata(wants, owned, int32(round))
			}
			decides := kgo.GroupBalancer(before)
			if round > 8 || rapid.Bool().Draw(t, "the new way") {
				decides = newBalancer()
			}
			mb, _, err := decides.MemberBalancer(members)
			if err != nil {
				t.Fatal(err)
			}
			plan, err := mb.(kgo.GroupMemberBalancerOrError).BalanceOrError(topics)
			if err != nil {
				t.Fatal(err)
			}
			next := make([]map[string][]int32, len(has))
			for _, a := range plan.IntoSyncAssignment() {
				var m int
				if _, err := fmt.Sscanf(a.MemberID, "m%d", &m); err != nil {
					t.Fatal(err)
				}
				if next[m], err = before.ParseSyncAssignment(a.MemberAssignment); err != nil {
					t.Fatal(err)
				}
			}
			owners := make(map[string]int)
			moved := false
			for m := range next {
				for name, ps := range next[m] {
					for _, p := range ps {
						owners[fmt.Sprint(name, "/", p)] = m
						moved = moved || !slices.Contains(has[m][name], p)
					}
				}
			}
			for m := range has {
				for name, ps := range has[m] {
					for _, p := range ps {
						to, given := owners[fmt.Sprint(name, "/", p)]
						if given && to != m {
							t.Fatalf("%s/%d is given to %d while %d has it", name, p, to, m)
						}
						moved = moved || !given
					}
				}
			}
			if has = next; moved {
				still = 0
			} else if round > 8 {
				still++
			}
		}
		members := make([]claimant, len(has))
		for m := range members {
			members[m] = claimant{wants: wants, has: has[m]}
		}
		judge(t, members, topics, has)
	})
}
