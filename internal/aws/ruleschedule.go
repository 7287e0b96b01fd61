package aws

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// scheduleOf is the schedule that a ScheduleExpression means. EventBridge user guide, "Setting a schedule pattern for scheduled rules (legacy)".
func scheduleOf(expression string) (string, error) {
	inner, rate := within(expression, "rate(")
	fields, cron := within(expression, "cron(")
	var text string
	var err error
	switch {
	case rate:
		text, err = every(inner)
	case cron:
		text, err = fiveFields(fields)
	default:
		err = errors.New("it is neither rate(VALUE UNIT) nor cron(SIX FIELDS)")
	}
	if err == nil {
		t := function.Trigger{Schedule: text}
		_, err = t.Plan()
	}
	if err != nil {
		return "", badValue("Parameter ScheduleExpression is not valid. %q: %w", fault.Clip(expression), err)
	}
	return text, nil
}

func within(text, open string) (string, bool) {
	rest, ok := strings.CutPrefix(text, open)
	inner, closed := strings.CutSuffix(rest, ")")
	return strings.TrimSpace(inner), ok && closed
}

// every is a rate: a whole number, and a unit that is a plural where the number is not 1.
func every(rate string) (string, error) {
	value, unit, _ := strings.Cut(rate, " ")
	n, err := strconv.Atoi(value)
	name := strings.TrimSuffix(unit, "s")
	hours := map[string]int{"hour": 1, "day": 24}[name]
	if err != nil || n < 1 || n > 1_000_000 || (n == 1) != (name == unit) || hours == 0 && name != "minute" {
		return "", errors.New("a rate is a whole number and minute, minutes, hour, hours, day or days, as in rate(5 minutes)")
	}
	if hours == 0 {
		return fmt.Sprintf("@every %dm", n), nil
	}
	return fmt.Sprintf("@every %dh", n*hours), nil
}

// dayOfWeek is one item of that field: a day, a range, and a step.
var dayOfWeek = regexp.MustCompile(`^(\*|[1-7]|[A-Za-z]{3})(-([1-7]|[A-Za-z]{3}))?(/[0-9]+)?$`)

// fiveFields is a cron expression without the year, whose days of the week count from 0.
func fiveFields(six string) (string, error) {
	f := strings.Fields(six)
	if len(f) != 6 {
		return "", fmt.Errorf("it has %d fields, and not minutes, hours, day of month, month, day of week and year", len(f))
	}
	day, week, year := f[2], f[4], f[5]
	switch {
	case year != "*":
		return "", errors.New("the year is not *: schedules go on for ever, or use at of a manifest's schedule")
	case (day == "?") == (week == "?"):
		return "", errors.New("one of day of month and day of week has to be ?, and not both")
	case week == "?":
		return strings.Join([]string{f[0], f[1], day, f[3], "*"}, " "), nil
	}
	items := strings.Split(week, ",")
	for i, item := range items {
		m := dayOfWeek.FindStringSubmatch(item)
		if m == nil {
			return "", fmt.Errorf("day of week: %q is not a day from 1 (SUN) to 7 (SAT), a range or a step; there are no L and #", fault.Clip(item))
		}
		items[i] = fromSunday(m[1])
		switch {
		case m[3] != "":
			items[i] += "-" + fromSunday(m[3])
		case m[4] != "" && m[1] != "*":
			items[i] += "-6" // a step goes on to the end of the week
		}
		items[i] += m[4]
	}
	return strings.Join([]string{f[0], f[1], "*", f[3], strings.Join(items, ",")}, " "), nil
}

// fromSunday is a day that AWS counts from 1 as cron does, from 0. Names stay.
func fromSunday(day string) string {
	n, err := strconv.Atoi(day)
	if err != nil {
		return day
	}
	return strconv.Itoa(n - 1)
}
