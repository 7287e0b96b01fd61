package function

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
)

// TopicAlerts holds what became of alerts: events that any trigger may listen to.
const TopicAlerts = "_dalamb.alerts"

// Alert is a rule about what functions do.
type Alert struct {
	Name      string   `json:"name"`
	When      string   `json:"when"`                // such as error-rate > 5% for 2m
	Functions []string `json:"functions,omitempty"` // globs of the functions that are measured together; nil = all
	Window    Duration `json:"window,omitzero"`     // that is measured; 0 = DefaultAlertWindow
	Calm      Duration `json:"calm,omitzero"`       // how long it must not be so until the alert is resolved; 0 = as long as it had to be so, and 30s at least
	Level     LogLevel `json:"level,omitempty"`     // of log-lines: the least that counts; "" = every line
	Text      string   `json:"text,omitempty"`      // of log-lines: in the line, in capitals or not; "" = every line
	Webhook   string   `json:"webhook,omitempty"`   // who is told, by a POST that is signed with Secret; "" = nobody beside the log
	Secret    string   `json:"secret,omitempty"`
}

// AlertMeasure is what a rule holds against its bound.
type AlertMeasure string

// The measures, over the window of an alert.
const (
	AlertErrorRate      AlertMeasure = "error-rate"      // the share of invocations that failed
	AlertP95            AlertMeasure = "p95"             // seconds that 95 of 100 invocations took at most
	AlertInvocations    AlertMeasure = "invocations"     // their count
	AlertDeadLetters    AlertMeasure = "dead-letters"    // runs that became one
	AlertBreakersOpened AlertMeasure = "breakers-opened" // of routes
	AlertLogLines       AlertMeasure = "log-lines"       // of Level and with Text
	AlertLag            AlertMeasure = "lag"             // events by which the trigger is behind that is furthest behind, now
)

// AlertMeasures are the names of all measures.
func AlertMeasures() []string {
	return []string{string(AlertErrorRate), string(AlertP95), string(AlertInvocations), string(AlertDeadLetters), string(AlertBreakersOpened), string(AlertLogLines), string(AlertLag)}
}

// AlertCondition is what When of an alert says.
type AlertCondition struct {
	Measure AlertMeasure
	Below   bool    // the measure is to be below Bound; else above it
	Bound   float64 // error-rate as a share of 1, p95 in seconds
	For     Duration
}

// Bounds of an alert's times.
const (
	DefaultAlertWindow = Duration(time.Minute)
	leastAlertWindow   = Duration(10 * time.Second)
	mostAlertTime      = Duration(time.Hour)
	leastCalm          = Duration(30 * time.Second)
	maxAlertText       = 256
)

const whenForm = "MEASURE > BOUND [for DURATION], such as error-rate > 5% for 2m, p95 > 500ms, dead-letters > 10, invocations < 1 for 10m"

// Condition reads When.
func (a *Alert) Condition() (c AlertCondition, err error) {
	words := strings.Fields(a.When)
	wrong := func(format string, args ...any) error {
		return fault.New(fault.Invalid, "when: "+format, args...).WithHint("%s; measures: %s", whenForm, strings.Join(AlertMeasures(), ", "))
	}
	if len(words) != 3 && (len(words) != 5 || words[3] != "for") || len(a.When) > maxAlertText {
		return c, wrong("%q is not %s", clip(a.When), "MEASURE > BOUND [for DURATION]")
	}
	c.Measure = AlertMeasure(words[0])
	if !slices.Contains(AlertMeasures(), words[0]) {
		return c, wrong("there is no measure %q", clip(words[0]))
	}
	switch words[1] {
	case ">":
	case "<":
		c.Below = true
	default:
		return c, wrong("%q is neither > nor <", clip(words[1]))
	}
	if c.Bound, err = c.Measure.parse(words[2]); err != nil {
		return c, wrong("%q is no bound of %s: %w", clip(words[2]), c.Measure, err)
	}
	if len(words) == 5 {
		if err := c.For.UnmarshalText([]byte(words[4])); err != nil || c.For > mostAlertTime {
			return c, wrong("%q is no duration of at most %s", clip(words[4]), mostAlertTime)
		}
	}
	return c, nil
}

// parse reads a bound.
func (m AlertMeasure) parse(text string) (float64, error) {
	switch m {
	case AlertErrorRate:
		number, percent := strings.CutSuffix(text, "%")
		v, err := strconv.ParseFloat(number, 64)
		if err != nil || !percent || !(v >= 0 && v < 100) {
			return 0, fmt.Errorf("it is a share from 0%% to less than 100%%")
		}
		return v / 100, nil
	case AlertP95:
		var d Duration
		if err := d.UnmarshalText([]byte(text)); err != nil || d <= 0 {
			return 0, fmt.Errorf("it is a duration such as 500ms")
		}
		return d.Std().Seconds(), nil
	}
	v, err := strconv.ParseUint(text, 10, 53)
	if err != nil {
		return 0, fmt.Errorf("it is a whole number")
	}
	return float64(v), nil
}

// Show writes a value of a measure as a bound is written.
func (m AlertMeasure) Show(v float64) string {
	switch m {
	case AlertErrorRate:
		return strconv.FormatFloat(v*100, 'g', 3, 64) + "%"
	case AlertP95:
		return time.Duration(v * float64(time.Second)).Round(100 * time.Microsecond).String()
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// Holds says whether a value is on the wrong side of the bound. Of an alert that fires the bound is eased by a fifth, so that a value which stays near it does
// not resolve and fire again and again.
func (c AlertCondition) Holds(v float64, firing bool) bool {
	bound := c.Bound
	switch {
	case firing && c.Below:
		bound *= 1.25
	case firing:
		bound *= 0.8
	}
	if c.Below {
		return v < bound
	}
	return v > bound
}

// Span is the window, Rest the time until it is resolved, with their defaults.
func (a *Alert) Span() time.Duration {
	if a.Window == 0 {
		return DefaultAlertWindow.Std()
	}
	return a.Window.Std()
}

// Rest is how long the condition must not hold until the alert is resolved.
func (a *Alert) Rest(c AlertCondition) time.Duration {
	if a.Calm == 0 {
		return max(c.For, leastCalm).Std()
	}
	return a.Calm.Std()
}

// Validate says what is wrong with an alert, the first thing first.
func (a *Alert) Validate() error {
	if !ValidValueName(a.Name) {
		return fault.New(fault.Invalid, "name: %q is no name for an alert", clip(a.Name)).WithHint("small letters, digits and dashes; a letter first; 63 at most")
	}
	c, err := a.Condition()
	if err != nil {
		return err
	}
	if len(a.Functions) > maxTaken {
		return fault.New(fault.Invalid, "functions: %d are more than %d", len(a.Functions), maxTaken).WithHint("name several by one pattern, such as shop-*")
	}
	for _, glob := range a.Functions {
		if glob == "" || len(glob) > 128 || strings.Trim(glob, "abcdefghijklmnopqrstuvwxyz0123456789-.*") != "" {
			return fault.New(fault.Invalid, "functions: %q fits no function's name", clip(glob)).WithHint("a star stands for any characters but a dot: shop-*")
		}
	}
	switch {
	case a.Window != 0 && (a.Window < leastAlertWindow || a.Window > mostAlertTime):
		return fault.New(fault.Invalid, "window: %s is not from %s to %s", a.Window, leastAlertWindow, mostAlertTime)
	case a.Calm != 0 && (a.Calm < Duration(time.Second) || a.Calm > mostAlertTime):
		return fault.New(fault.Invalid, "calm: %s is not from 1s to %s", a.Calm, mostAlertTime)
	case (a.Level != "" || a.Text != "") && c.Measure != AlertLogLines:
		return fault.New(fault.Invalid, "level and text belong to %s, and when measures %s", AlertLogLines, c.Measure)
	case a.Level != "" && !slices.Contains(LogLevels(), string(a.Level)):
		return fault.New(fault.Invalid, "level: %q is no level", clip(string(a.Level))).WithHint("levels: %s", strings.Join(LogLevels(), ", "))
	case len(a.Text) > maxAlertText:
		return fault.New(fault.Invalid, "text: is longer than %d bytes", maxAlertText)
	case a.Webhook != "" && a.Secret == "":
		return fault.New(fault.Invalid, "webhook: is told nothing without a secret that signs it").WithHint("dalamb secret set NAME, and --secret NAME")
	case a.Webhook == "" && a.Secret != "":
		return fault.New(fault.Invalid, "secret: signs what a webhook is told, and there is none").WithHint("--webhook URL")
	case a.Secret != "" && !validSecretReference(a.Secret):
		return fault.New(fault.Invalid, "secret: %q is no name of a secret", clip(a.Secret))
	case a.Webhook != "":
		return CheckCallback(a.Webhook)
	}
	return nil
}

// validSecretReference: a secret's name, of an environment or not.
func validSecretReference(name string) bool {
	env, rest, of := strings.Cut(name, ".")
	return !of && ValidValueName(name) || of && ValidValueName(env) && ValidValueName(rest)
}

// AlertState is what an alert says.
type AlertState string

// The states of an alert.
const (
	AlertFiring AlertState = "firing"
	AlertOK     AlertState = "ok"
)

// AlertTold is the data of event.TypeAlertTold in TopicAlerts: what came of telling an alert's webhook. A webhook that fails is told of after the first try, and when it
// was told at last, or given up.
type AlertTold struct {
	Alert string    `json:"alert"`
	Event string    `json:"event"` // the id of the event that it was told
	At    time.Time `json:"at"`
	Tries int       `json:"tries"`
	Error string    `json:"error,omitempty"` // "" = it has taken it
	Again bool      `json:"again,omitempty"` // it is tried again
}

// AlertChanged is the data of event.TypeAlertFired and TypeAlertResolved in TopicAlerts.
type AlertChanged struct {
	Alert     string     `json:"alert"`
	State     AlertState `json:"state"`
	When      string     `json:"when"`
	Functions []string   `json:"functions,omitempty"`
	Value     float64    `json:"value"`            // of the measure, in the unit of its bound: error-rate as a share of 1, p95 in seconds
	Shown     string     `json:"shown"`            // the same for people
	Since     time.Time  `json:"since"`            // from when on it is so
	Fired     *time.Time `json:"fired,omitempty"`  // of one that is resolved: when it fired
	Reason    string     `json:"reason,omitempty"` // of one that was resolved by somebody: changed or removed
	Test      bool       `json:"test,omitempty"`   // somebody tries what follows; the alert's state is not changed
}
