package fault

import "testing"

func TestSeveralErrorsAreOne(t *testing.T) {
	one := New(NotFound, "no cup").WithHint("buy one")
	two := New(Conflict, "no tea")
	if err := All([]error{nil, nil}); err != nil {
		t.Errorf("All of none = %v", err)
	}
	if err := All([]error{nil, one}); err.Error() != "no cup" || HintOf(err) != "buy one" || KindOf(err) != NotFound {
		t.Errorf("All of one = %v (%v)", err, KindOf(err))
	}
	if err := All([]error{one, nil, two}); err.Error() != "no cup (buy one)\nno tea" || KindOf(err) != NotFound || HintOf(err) != "" {
		t.Errorf("All of two = %q (%v)", err, KindOf(err))
	}
}
