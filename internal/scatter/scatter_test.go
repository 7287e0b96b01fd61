package scatter

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// does is what a leaf does in one attempt: it answers after a time.
type does struct {
	after time.Duration
	part  Part
}

// leaf does one thing after another; again says when it is asked a second time.
func leaf(name string, again time.Duration, all ...does) Leaf {
	return Leaf{Name: name, After: again, Again: func() bool { return len(all) > 1 }, Ask: func(ctx context.Context, attempt int) Part {
		d := all[attempt-1]
		time.Sleep(d.after)
		return d.part
	}}
}

func body(s string) Part { return Part{Body: []byte(s)} }

func TestPartsAreAwaited(t *testing.T) {
	const s = time.Second
	lost := Part{Missing: "502"}
	for name, c := range map[string]struct {
		leaves []Leaf
		took   time.Duration
		want   string // by Document
	}{
		"all answer":                  {[]Leaf{leaf("a", 0, does{s, body("1")}), leaf("b", 0, does{2 * s, body("2")})}, 2 * s, `{"parts":{"a":1,"b":2},"missing":{}}`},
		"one is late":                 {[]Leaf{leaf("a", 0, does{s, body("1")}), leaf("b", 0, does{20 * s, body("2")})}, 5 * s, `{"parts":{"a":1},"missing":{"b":"timeout"}}`},
		"one fails":                   {[]Leaf{leaf("a", 0, does{s, lost}), leaf("b", 0, does{2 * s, body("2")})}, 2 * s, `{"parts":{"b":2},"missing":{"a":"502"}}`},
		"nobody answers":              {[]Leaf{leaf("a", 0, does{9 * s, lost}), leaf("b", 0, does{9 * s, lost})}, 5 * s, `{"parts":{},"missing":{"a":"timeout","b":"timeout"}}`},
		"the second attempt is quick": {[]Leaf{leaf("a", s, does{9 * s, body("1")}, does{s, body("2")})}, 2 * s, `{"parts":{"a":2},"missing":{}}`},
		"the second attempt fails":    {[]Leaf{leaf("a", s, does{4 * s, body("1")}, does{s, lost})}, 4 * s, `{"parts":{"a":1},"missing":{}}`},
		"the first attempt fails behind the second":     {[]Leaf{leaf("a", s, does{2 * s, lost}, does{2 * s, body("2")})}, 3 * s, `{"parts":{"a":2},"missing":{}}`},
		"both attempts fail":                            {[]Leaf{leaf("a", s, does{2 * s, lost}, does{2 * s, Part{Missing: Failed}})}, 3 * s, `{"parts":{},"missing":{"a":"failed"}}`},
		"a quick failure has no second attempt":         {[]Leaf{leaf("a", 2*s, does{s, lost}, does{s, body("2")})}, s, `{"parts":{},"missing":{"a":"502"}}`},
		"both attempts answer while another is awaited": {[]Leaf{leaf("a", s, does{2 * s, body("1")}, does{2 * s, body("2")}), leaf("b", 0, does{4 * s, body("3")})}, 4 * s, `{"parts":{"a":1,"b":3},"missing":{}}`},
		"there is no room for a second attempt":         {[]Leaf{leaf("a", s, does{3 * s, body("1")})}, 3 * s, `{"parts":{"a":1},"missing":{}}`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 5*s)
				defer cancel()
				var running sync.WaitGroup
				begin := time.Now()
				parts := All(ctx, c.leaves, running.Go)
				if took := time.Since(begin); took != c.took {
					t.Errorf("it took %s, want %s", took, c.took)
				}
				if got := string(Document(parts)); got != c.want {
					t.Errorf("All = %s, want %s", got, c.want)
				}
				running.Wait() // who is late finds an end too
			})
		})
	}
}

func TestWhoIsLateIsToldThatNobodyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var running sync.WaitGroup
		begin := time.Now()
		waiting := Leaf{Name: "b", Ask: func(ctx context.Context, _ int) Part { <-ctx.Done(); return Part{Missing: Unavailable} }}
		parts := All(ctx, []Leaf{leaf("a", 0, does{0, body("1")}), waiting}, running.Go)
		running.Wait()
		if took := time.Since(begin); took != time.Second || Missing(parts) == "" {
			t.Errorf("it took %s, and %q is missing", took, Missing(parts))
		}
	})
	synctest.Test(t, func(t *testing.T) { // a second attempt that is not needed any more
		var running sync.WaitGroup
		begin := time.Now()
		twice := Leaf{Name: "a", After: time.Second, Again: func() bool { return true }, Ask: func(ctx context.Context, attempt int) Part {
			if attempt == 1 {
				time.Sleep(2 * time.Second)
				return body("1")
			}
			<-ctx.Done()
			return Part{Missing: Unavailable}
		}}
		All(t.Context(), []Leaf{twice}, running.Go)
		running.Wait()
		if took := time.Since(begin); took != 2*time.Second {
			t.Errorf("all had ended after %s, want when the first attempt had answered", took)
		}
	})
}

func TestListsAreJoined(t *testing.T) {
	lists := func(bodies ...string) (parts []Part) {
		for _, b := range bodies {
			parts = append(parts, body(b))
		}
		return append(parts, Part{Missing: Timeout})
	}
	for want, parts := range map[string][]Part{
		"[]":                  lists(),
		"[1,2,3]":             lists("[1,2]", "[ ]", "[\n3 ]"),
		`[{"a":[1]},[2],"x"]`: lists(`{"a":[1]}`, "[[2]]", "null", "[]", `"x"`),
	} {
		if got := string(Concat(parts)); got != want || !json.Valid([]byte(got)) {
			t.Errorf("Concat = %s, want %s", got, want)
		}
	}
}

func TestFormsOfAnAnswer(t *testing.T) {
	parts := []Part{{Leaf: "a", Body: []byte(`{"x":1}`)}, {Leaf: "staging.b", Missing: Timeout}, {Leaf: "2", Body: []byte("null")}, {Leaf: "3", Missing: "502"}}
	for _, c := range []struct {
		parts                            []Part
		array, object, document, missing string
		fates                            string
		here                             int
	}{
		{parts, `[{"x":1},null,null,null]`, `{"a":{"x":1},"2":null}`, `{"parts":{"a":{"x":1},"2":null},"missing":{"3":"502","staging.b":"timeout"}}`,
			"staging.b;reason=timeout, 3;reason=502", "staging.b (timeout), 3 (502)", 2},
		{parts[:1], `[{"x":1}]`, `{"a":{"x":1}}`, `{"parts":{"a":{"x":1}},"missing":{}}`, "", "", 1},
		{parts[1:2], `[null]`, `{}`, `{"parts":{},"missing":{"staging.b":"timeout"}}`, "staging.b;reason=timeout", "staging.b (timeout)", 0},
	} {
		got := []string{string(Array(c.parts)), string(Object(c.parts)), string(Document(c.parts)), Missing(c.parts), Fates(c.parts), fmt.Sprint(Here(c.parts))}
		if want := []string{c.array, c.object, c.document, c.missing, c.fates, fmt.Sprint(c.here)}; !reflect.DeepEqual(got, want) {
			t.Errorf("of %v: %q, want %q", c.parts, got, want)
		}
		for _, b := range got[:3] {
			if !json.Valid([]byte(b)) {
				t.Errorf("%s is no JSON", b)
			}
		}
	}
}
