package gateway

import "testing"

func TestACrowdMakesRoomAsLongAsItCan(t *testing.T) {
	c := &crowd{most: 10}
	ended := map[string]bool{}
	enter := func(name string) *claim { return c.enter(func() { ended[name] = true }) }
	a, b, d := enter("a"), enter("b"), enter("d")
	if !a.take(4) || !b.take(4) || !a.arrived() {
		t.Fatal("the first two have no room")
	}
	if d.take(7) || len(ended) != 0 {
		t.Errorf("room for 7 beside a whole body of 4 was made by %v, want none, and nobody ended for it", ended)
	}
	if !d.take(6) || !ended["b"] || b.take(1) || b.arrived() {
		t.Errorf("ended = %v, want b for the next one", ended)
	}
	if c.used != 10 {
		t.Errorf("%d bytes are used, want all 10", c.used)
	}
	for _, one := range []*claim{a, b, d} {
		one.leave()
	}
	if c.used != 0 || len(c.all) != 0 {
		t.Errorf("after all have left %d bytes and %d bodies are there", c.used, len(c.all))
	}
}
