package function

import (
	"strings"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
)

func TestConditionsAreRead(t *testing.T) {
	for when, want := range map[string]AlertCondition{
		"error-rate > 5% for 2m":     {AlertErrorRate, false, 0.05, Duration(2 * time.Minute)},
		"p95 > 500ms":                {AlertP95, false, 0.5, 0},
		"invocations < 1 for 10m":    {AlertInvocations, true, 1, Duration(10 * time.Minute)},
		"dead-letters > 0":           {AlertDeadLetters, false, 0, 0},
		" lag  >  1000   for  30s  ": {AlertLag, false, 1000, Duration(30 * time.Second)},
	} {
		a := Alert{Name: "a", When: when}
		if c, err := a.Condition(); err != nil || c != want || a.Validate() != nil {
			t.Errorf("%q = %+v, %v, want %+v", when, c, err, want)
		}
	}
}

func TestAlertsThatAreWrong(t *testing.T) {
	good := "error-rate > 5%"
	for want, a := range map[string]Alert{
		"no name for an alert":              {Name: "A", When: good},
		`"often" is not MEASURE > BOUND`:    {Name: "a", When: "often"},
		`there is no measure "errors"`:      {Name: "a", When: "errors > 5%"},
		`">=" is neither > nor <`:           {Name: "a", When: "error-rate >= 5%"},
		`"5" is no bound of error-rate`:     {Name: "a", When: "error-rate > 5"},
		`"100%" is no bound`:                {Name: "a", When: "error-rate > 100%"},
		`"NaN%" is no bound`:                {Name: "a", When: "error-rate > NaN%"},
		`"1.5" is no bound of lag`:          {Name: "a", When: "lag > 1.5"},
		`"500" is no bound of p95`:          {Name: "a", When: "p95 > 500"},
		`"2h" is no duration of at most 1h`: {Name: "a", When: good + " for 2h"},
		`"a/b" fits no function's name`:     {Name: "a", When: good, Functions: []string{"a/b"}},
		"window: 1s is not from 10s":        {Name: "a", When: good, Window: Duration(time.Second)},
		"calm: 2h is not from 1s":           {Name: "a", When: good, Calm: Duration(2 * time.Hour)},
		"level and text belong to log-line": {Name: "a", When: good, Text: "x"},
		`"loud" is no level`:                {Name: "a", When: "log-lines > 1", Level: "loud"},
		"without a secret that signs it":    {Name: "a", When: good, Webhook: "https://x/"},
		"and there is none":                 {Name: "a", When: good, Secret: "s"},
		"is no name of a secret":            {Name: "a", When: good, Secret: "S", Webhook: "https://x/"},
		"no address that can be called":     {Name: "a", When: good, Secret: "s", Webhook: "ftp://x/"},
	} {
		if err := a.Validate(); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", a, err, want)
		}
	}
}

func TestABoundIsEasedWhileItFires(t *testing.T) {
	above, below := AlertCondition{Bound: 100}, AlertCondition{Bound: 100, Below: true}
	for _, c := range []struct {
		c      AlertCondition
		value  float64
		firing bool
		want   bool
	}{
		{above, 100, false, false}, {above, 101, false, true}, {above, 90, true, true}, {above, 80, true, false},
		{below, 100, false, false}, {below, 99, false, true}, {below, 120, true, true}, {below, 125, true, false},
	} {
		if got := c.c.Holds(c.value, c.firing); got != c.want {
			t.Errorf("%+v of %v, firing %v: %v, want %v", c.c, c.value, c.firing, got, c.want)
		}
	}
}
