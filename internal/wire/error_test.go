package wire_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/wire"
)

func TestStatusOfEveryKind(t *testing.T) {
	seen := map[int]fault.Kind{}
	for k := fault.Internal; k <= fault.Timeout; k++ {
		s := wire.Status(k)
		if other, ok := seen[s]; ok {
			t.Errorf("Status(%v) = Status(%v) = %d, want each kind to have its own", k, other, s)
		}
		seen[s] = k
		if got := wire.KindOf(s); got != k {
			t.Errorf("KindOf(Status(%v)) = %v", k, got)
		}
		if k != fault.Internal && s == 500 {
			t.Errorf("Status(%v) = 500", k)
		}
	}
	for status, want := range map[int]fault.Kind{418: fault.Invalid, 502: fault.Internal} {
		if got := wire.KindOf(status); got != want {
			t.Errorf("KindOf(%d) = %v, want %v", status, got, want)
		}
	}
}

func TestErrorRoundTrip(t *testing.T) {
	for _, c := range []struct {
		err  error
		want fault.Error
	}{
		{fault.New(fault.NotFound, "there is no topic %q", "x").WithHint("did you mean y?"), fault.Error{Kind: fault.NotFound, Message: `there is no topic "x"`, Hint: "did you mean y?"}},
		{fmt.Errorf("deploy pay: %w", fault.New(fault.Denied, "no").WithHint("ask")), fault.Error{Kind: fault.Denied, Message: "deploy pay: no", Hint: "ask"}},
		{errors.New("odd"), fault.Error{Kind: fault.Internal, Message: "odd"}},
	} {
		b, err := json.Marshal(wire.ErrorOf(c.err))
		if err != nil {
			t.Fatal(err)
		}
		var body wire.ErrorBody
		if err := json.Unmarshal(b, &body); err != nil {
			t.Fatal(err)
		}
		if got := body.Error.Fault(); *got != c.want {
			t.Errorf("Fault of %s = %+v, want %+v", b, *got, c.want)
		}
	}
}
