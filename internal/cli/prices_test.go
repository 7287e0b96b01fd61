package cli

import (
	"errors"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
)

// A price list that is wrong is told with its place, in the words of the list.
func TestPricesThatAreWrong(t *testing.T) {
	for text, want := range map[string][2]string{
		"currency: EUR\ninvocations: 1\n": {`p.yaml:2:1: there is no price "invocations"`, "did you mean invocation?"},
		"perCall: 1\n":                    {`p.yaml:1:1: there is no price "perCall"`, "fields: buildMinute, currency"},
		"gbIn: 1\ngbIn: 2\n":              {"p.yaml:2:1: gbIn is given twice", ""},
		"gbIn: [1]\n":                     {"p.yaml:1:7: gbIn is not one value", ""},
		"- gbIn\n":                        {"p.yaml:1:1: is not a mapping of prices", "fields: "},
		"gbIn: 'x\n":                      {"p.yaml:1:7: not valid YAML: the quote that opens here is not closed", ""},
		"gbIn: 1e9\n":                     {`p.yaml: gbIn: "1e9" is no price`, "a decimal number, such as 0.0000166667"},
	} {
		_, err := parsePrices("p.yaml", []byte(text))
		var f *fault.Error
		if !errors.As(err, &f) || f.Kind != fault.Invalid || f.Message != want[0] || !strings.HasPrefix(f.Hint, want[1]) {
			t.Errorf("%q: %+v, want %q", text, err, want)
		}
	}
	for _, text := range []string{"", "# none\n", "gbIn: 0.10\ncurrency: EUR\n", "gbIn: '0.10'\ninvocation:\n"} {
		p, err := parsePrices("p.yaml", []byte(text))
		if err != nil || strings.Contains(text, "gbIn") && p.GBIn != "0.10" {
			t.Errorf("%q: %+v, %v", text, p, err)
		}
	}
}
