package telemetry

import "reflect"

// untaken is how many of n spans a receiver did not take, by what came of their sending. OTLP 1.x, "Partial Success": it may refuse some, or none and only warn.
// OpenTelemetry's two clients say that by errors of a type that each keeps to itself; their name and one field are all that they have in common.
func untaken(err error, n int) int {
	if err == nil {
		return 0
	}
	if all, is := err.(interface{ Unwrap() []error }); is {
		sum := 0
		for _, e := range all.Unwrap() {
			sum += untaken(e, n)
		}
		return min(sum, n)
	}
	v := reflect.ValueOf(err)
	if v.Kind() != reflect.Struct || v.Type().Name() != "PartialSuccess" {
		return n
	}
	rejected := v.FieldByName("RejectedItems")
	if !rejected.IsValid() || !rejected.CanInt() {
		return n
	}
	return int(min(max(rejected.Int(), 0), int64(n)))
}
