package function

import (
	"fmt"
	"maps"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/dalamb/dalamb/internal/fault"
)

func TestCheckAlias(t *testing.T) {
	for name, ok := range map[string]bool{
		"live": true, "a": true, "preview/feature-x": true, "preview/2026/a-1": true, strings.Repeat("a", MaxAlias): true,
		"": false, "3": false, "3a": false, "Live": false, "a-": false, "-a": false, "/a": false, "a/": false, "a//b": false, "a/../b": false,
		"a b": false, "a:b": false, "a%2fb": false, "a_b": false, "preview/-x": false, "a\n": false, "$LATEST": false, strings.Repeat("a", MaxAlias+1): false,
	} {
		if err := CheckAlias(name); (err == nil) != ok || err != nil && fault.KindOf(err) != fault.Invalid {
			t.Errorf("CheckAlias(%q) = %v, want ok = %v", name, err, ok)
		}
	}
}

func TestAbove(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want bool
	}{{"preview", "preview/x", true}, {"preview/x", "preview", true}, {"preview", "preview", false}, {"pre", "preview/x", false}, {"a/b", "a/c", false}} {
		if got := Above(tc.a, tc.b); got != tc.want {
			t.Errorf("Above(%q, %q) = %v, want %v", tc.a, tc.b, got, tc.want)
		}
	}
}

func tickets(n int) []uint64 {
	out := make([]uint64, n)
	for i := range out {
		out[i] = Ticket("pay", fmt.Sprint("customer-", i))
	}
	return out
}

func TestPickGivesEachVersionItsShare(t *testing.T) {
	for _, a := range []Alias{
		{Primary: 3},
		{Primary: 3, Weights: map[int]int{4: 10}},
		{Primary: 3, Weights: map[int]int{4: 50, 7: 25}},
		{Primary: 3, Weights: map[int]int{3: 20, 4: 100}}, // the primary's own weight says nothing: the rest is its
		{Primary: 3, Weights: map[int]int{4: 0}},
	} {
		const n = 20_000
		got := map[int]int{}
		for _, ticket := range tickets(n) {
			got[a.Pick(ticket)]++
		}
		sum := 0
		for _, version := range a.Versions() {
			want := float64(a.Share(version)) / 100
			sum += a.Share(version)
			if share := float64(got[version]) / n; math.Abs(share-want) > 0.015 || want == 0 && share > 0 {
				t.Errorf("%+v: version %d got %.3f of the keys, want %.3f", a, version, share, want)
			}
		}
		if sum != 100 {
			t.Errorf("%+v: the shares sum to %d, want 100", a, sum)
		}
	}
}

// What a roll-out does to an alias: shares change by steps, and in the end the primary is another one.
func TestKeysStayOnAVersionWhoseShareGrows(t *testing.T) {
	keys := tickets(500)
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) Alias {
			a := Alias{Primary: rapid.IntRange(1, 4).Draw(t, name+" primary"), Weights: map[int]int{}}
			left := 100
			for _, n := range []int{1, 2, 3, 4} {
				if n != a.Primary {
					a.Weights[n] = rapid.IntRange(0, left).Draw(t, fmt.Sprint(name, " weight of ", n))
					left -= a.Weights[n]
				}
			}
			return a
		}
		before, after := draw("before"), draw("after")
		share := func(a Alias) map[int]int {
			m := map[int]int{}
			for _, n := range a.Versions() {
				m[n] = a.Share(n)
			}
			return m
		}
		was, is := share(before), share(after)
		for _, key := range keys {
			from, to := before.Pick(key), after.Pick(key)
			if from != to && is[from] >= was[from] && is[to] <= was[to] {
				t.Fatalf("a key went from version %d, whose share went from %d to %d, to version %d, whose share went from %d to %d",
					from, was[from], is[from], to, was[to], is[to])
			}
		}
		if maps.Equal(was, is) {
			for _, key := range keys {
				if before.Pick(key) != after.Pick(key) {
					t.Fatalf("%+v and %+v have the same shares and pick differently", before, after)
				}
			}
		}
	})
}

// A canary of one version beside another: no key that has met the new one ever meets the old one again until it is rolled back.
func TestACanaryNeverTakesAKeyBack(t *testing.T) {
	keys := tickets(2000)
	on := map[uint64]bool{}
	for percent := 0; percent <= 100; percent++ {
		a := Alias{Primary: 3, Weights: map[int]int{4: percent}}
		if percent == 100 {
			a = Alias{Primary: 4}
		}
		for _, key := range keys {
			switch got := a.Pick(key); {
			case got == 4:
				on[key] = true
			case on[key]:
				t.Fatalf("at %d %% a key is back on version %d", percent, got)
			}
		}
	}
	if len(on) != len(keys) {
		t.Errorf("%d of %d keys are on the new version in the end", len(on), len(keys))
	}
}

// The answers are part of what nodes of different binaries agree on: they may never change.
func TestTicketsAreTheSameForEver(t *testing.T) {
	a := Alias{Primary: 1, Weights: map[int]int{2: 50}}
	got := ""
	for _, key := range []string{"", "a", "b", "c", "o-1", "o-2", "kunde-ä", "0"} {
		got += fmt.Sprintf("%x:%d ", Ticket("pay", key)>>48, a.Pick(Ticket("pay", key)))
	}
	const want = "3b15:1 d6b3:1 b2aa:2 4182:2 a884:1 34e4:1 782a:2 8849:1 "
	if got != want {
		t.Errorf("tickets and picks = %q, want %q", got, want)
	}
}
