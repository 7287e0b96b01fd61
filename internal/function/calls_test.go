package function

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestCalls(t *testing.T) {
	const head = "name: shop\nentry: {type: lambda, command: [./x]}\n"
	many := make([]string, 65)
	for i := range many {
		many[i] = fmt.Sprintf("f%d", i)
	}
	for text, want := range map[string]string{
		"calls: [orders, pay-cards]":                "",
		"calls: [shop]":                             "", // itself
		"calls: []":                                 "",
		"network: egress\ncalls: [orders]":          "",
		"network: host\ncalls: [orders]":            "calls: the names of functions are of a function's own network, and this one has network: host",
		"calls: [orders, orders]":                   `calls[1]: "orders" is there twice`,
		"calls: [Orders]":                           `calls[0]: "Orders" is no name for a function`,
		"calls: [staging.orders]":                   `calls[0]: "staging.orders" is no name for a function`,
		"calls: ['']":                               "calls[0]: a function needs a name",
		"calls: orders":                             "calls",
		"calls: [" + strings.Join(many, ", ") + "]": "calls: 65 functions are more than 64",
	} {
		_, err := ParseManifest("dalamb.yaml", []byte(head+text))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: error %v, want %q in it", text, err, want)
		}
	}
	web := "name: shop\nentry: {type: http, command: [./x], port: 80}\ncalls: [orders]\n"
	if _, err := ParseManifest("dalamb.yaml", []byte(web)); err == nil || !strings.Contains(err.Error(), "entry.port: port 80 is where the function finds those that it calls") {
		t.Errorf("a function that listens there itself: %v", err)
	}
}

func TestAFunctionCallsThoseOfItsEnvironment(t *testing.T) {
	plain := &Spec{Name: "shop", Calls: []string{"orders", "billing"}}
	placed := plain.Place("staging", func(string) bool { return false })
	for _, c := range []struct {
		spec       *Spec
		name, want string
	}{
		{plain, "orders", "orders"}, {plain, "pay", ""}, {plain, "staging.orders", ""}, {plain, "", ""},
		{placed, "orders", "staging.orders"}, {placed, "billing", "staging.billing"}, {placed, "pay", ""}, {placed, "test.orders", ""}, {placed, "staging.orders", ""}, {placed, "", ""},
	} {
		if got := c.spec.Called(c.name); got != c.want {
			t.Errorf("%s: Called(%q) = %q, want %q", c.spec.Name, c.name, got, c.want)
		}
	}
	for _, s := range []*Spec{plain, placed} {
		if got, want := s.CallHosts(), []string{"orders.dalamb", "billing.dalamb"}; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: CallHosts() = %q, want %q", s.Name, got, want)
		}
	}
	if _, back := placed.Unplace(); !reflect.DeepEqual(back.Calls, plain.Calls) {
		t.Errorf("back from there it calls %q", back.Calls)
	}
	if !reflect.DeepEqual(plain.Calls, []string{"orders", "billing"}) {
		t.Errorf("Place has changed what it was given: %q", plain.Calls)
	}
}
