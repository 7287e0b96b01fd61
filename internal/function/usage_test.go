package function

import (
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
)

// By hand: 3,000,000 calls at 0.0000002 are 0.6; 128 MiB for 375,000 s are 46,875 GiB s, at 0.0000166667 are 0.78125156250; 5 GiB at 0.09 are 0.45; 90 s are 1.5 minutes, at 0.005 are 0.0075.
func TestAPriceIsExact(t *testing.T) {
	u := Used{Invocations: 3_000_000, MiBMillis: 128 * 375_000_000, BytesOut: 5 << 30, BuildMillis: 90_000}
	p := Prices{Currency: "EUR", Invocation: "0.0000002", GBSecond: "0.0000166667", GBOut: "0.09", BuildMinute: "0.005"}
	cost, err := p.Of(&u)
	if err != nil || cost.FloatString(11) != "1.83875156250" {
		t.Errorf("cost = %v, %v, want 1.83875156250", cost, err)
	}
	var sum Used
	for range 1000 {
		sum.Add(u)
	}
	cost, err = p.Of(&sum)
	if err != nil || cost.FloatString(11) != "1838.75156250000" {
		t.Errorf("a thousand times = %v, %v, want 1838.7515625", cost, err)
	}
}

func TestPricesThatAreWrong(t *testing.T) {
	for _, price := range []string{"1e9", "-1", "1/3", ".5", "free", "0x1", "1_0", strings.Repeat("1", 41)} {
		p := Prices{GBIn: price}
		if _, err := p.Of(&Used{}); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "gbIn") || fault.HintOf(err) == "" {
			t.Errorf("%q: %v", price, err)
		}
	}
}
