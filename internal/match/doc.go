// Package match decides which patterns an event satisfies: the filter language, its compiled form and an index over
// many patterns. It does not know triggers or functions; a caller gives each pattern a value and gets the values back.
//
// # The language
//
// Patterns are those of Amazon EventBridge (the semantics of aws/event-ruler). A pattern is a JSON object of the shape of
// the event; at each leaf stands an array of alternatives. All named fields must match, at each any alternative suffices,
// fields that are not named do not matter. `{}` matches every event (EventBridge refuses it; here a trigger without a filter is that).
//
//	"x"  5  true  null                          equal; numbers compare as IEEE 754 doubles: 1 = 1.0 = 1e0
//	{"exactly": "x"}                            the same as "x"
//	{"prefix": "x"}  {"suffix": "x"}            strings only; "" is in every string
//	{"prefix": {"equals-ignore-case": "x"}}     the same for suffix; Unicode simple case folding
//	{"equals-ignore-case": "x"}
//	{"wildcard": "a*b"}                         * is any text; \* and \\ are the escapes; ** is refused
//	{"anything-but": X}                         a leaf that is there and is none of X: a string, a number, a list of either,
//	                                            or {"prefix"|"suffix"|"wildcard"|"equals-ignore-case": string or list}
//	{"numeric": [">", 0, "<=", 5]}              =, <, <=, >, >= and ranges with the lower bound first
//	{"cidr": "10.0.0.0/8"}                      IPv4 or IPv6, of a string
//	{"exists": true}  {"exists": false}         a leaf is there, or not; an object or an empty array is no leaf
//	"$or": [{...}, {...}]                       any of the objects, anywhere a field may stand, nestable
//
// "$or" is the operator where its value is an array of two or more objects, none with an operator's name as a key;
// elsewhere it is a field of that name. Where EventBridge lets the last of a repeated key win, a pattern that names a key of
// an object, or a path of a conjunction, twice is refused.
//
// A dot in a field's name, of the pattern or of the event, is the same as nesting. A key that an object repeats gives
// all of its values. An array stands for its elements, so a field may have several leaves; but two fields of one pattern are
// never satisfied from different elements of one array, and {"exists": false} looks only at what is consistent with the
// elements that the other fields were found in. Where repeated keys put two arrays on one path they count as one array.
//
// # The event
//
// The object of an event is its structured form (CloudEvents JSON format, section 3): attributes and extensions at the top,
// `data` where the data is JSON, else `data_base64`.
//
// # Bounds
//
// A pattern has at most 64 KiB, nests 32 deep, names 64 fields in a conjunction, becomes 256 conjunctions when "$or" is
// multiplied out; a wildcard has at most 16 `*`. What is past a bound is refused with a PatternError.
//
// # Cost
//
// An event's bytes are read once, whatever the number of rules; subtrees that no rule asks for are only checked for
// syntax. A Set is a decision tree whose edges are values: from it come the few rules that may match, and only those are
// verified. Matching takes no lock and, in the steady state, no memory. What no edge can tell apart is verified for each
// event that has the field: a wildcard whose pieces of text are all shorter than three bytes and that begins and ends with *.
package match
