package match_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/match"
)

// The language, one line per rule of it. The cases on arrays state what event-ruler's correctness cases state.
func TestMatchJSON(t *testing.T) {
	const company = `{"employees":[{"first":"John","last":"Doe"},{"first":"Anna","last":"Smith"},{"first":"Peter","last":"Jones"}]}`
	tests := []struct {
		name, pattern, object string
		want                  bool
	}{
		{"empty pattern, empty object", `{}`, `{}`, true},
		{"empty pattern, any object", `{}`, `{"a":[1,{"b":2}]}`, true},

		{"string", `{"a":["x"]}`, `{"a":"x"}`, true},
		{"string, other", `{"a":["x"]}`, `{"a":"y"}`, false},
		{"string, other case", `{"a":["x"]}`, `{"a":"X"}`, false},
		{"string, one of", `{"a":["x","y"]}`, `{"a":"y"}`, true},
		{"string is not number", `{"a":["5"]}`, `{"a":5}`, false},
		{"number is not string", `{"a":[5]}`, `{"a":"5"}`, false},
		{"string, escaped in object", `{"a":["\u00e9\n/"]}`, `{"a":"é\n\/"}`, true},
		{"string, surrogate pair", `{"a":["😀"]}`, `{"a":"\ud83d\ude00"}`, true},
		{"string, half a pair", `{"a":["\ufffdx"]}`, `{"a":"\ud83dx"}`, true},
		{"string that is an address", `{"a":["10.0.0.1"]}`, `{"a":"10.0.0.1"}`, true},
		{"exactly", `{"a":[{"exactly":"x"}]}`, `{"a":"x"}`, true},
		{"exactly, other", `{"a":[{"exactly":"x"}]}`, `{"a":"xy"}`, false},
		{"empty string", `{"a":[""]}`, `{"a":""}`, true},
		{"empty string is not null", `{"a":[""]}`, `{"a":null}`, false},
		{"empty string is not absent", `{"a":[""]}`, `{}`, false},
		{"null", `{"a":[null]}`, `{"a":null}`, true},
		{"null is not absent", `{"a":[null]}`, `{}`, false},
		{"null is not the string", `{"a":[null]}`, `{"a":"null"}`, false},
		{"null is not an object", `{"a":[null]}`, `{"a":{}}`, false},
		{"true", `{"a":[true]}`, `{"a":true}`, true},
		{"true is not false", `{"a":[true]}`, `{"a":false}`, false},
		{"false", `{"a":[false]}`, `{"a":false}`, true},
		{"true is not the string", `{"a":[true]}`, `{"a":"true"}`, false},
		{"number", `{"a":[1]}`, `{"a":1}`, true},
		{"number, 1.0", `{"a":[1]}`, `{"a":1.0}`, true},
		{"number, 1e0", `{"a":[1.0]}`, `{"a":1e0}`, true},
		{"number, 300 = 3.0e2", `{"a":[3.0e2]}`, `{"a":300}`, true},
		{"number, -0", `{"a":[0]}`, `{"a":-0.0}`, true},
		{"number, long", `{"a":[123456789012]}`, `{"a":123456789012}`, true},
		{"number, other", `{"a":[1]}`, `{"a":1.1}`, false},

		{"prefix", `{"a":[{"prefix":"ab"}]}`, `{"a":"abc"}`, true},
		{"prefix, whole", `{"a":[{"prefix":"ab"}]}`, `{"a":"ab"}`, true},
		{"prefix, longer", `{"a":[{"prefix":"ab"}]}`, `{"a":"a"}`, false},
		{"prefix, of a number", `{"a":[{"prefix":"1"}]}`, `{"a":12}`, false},
		{"prefix, empty", `{"a":[{"prefix":""}]}`, `{"a":"x"}`, true},
		{"prefix, empty, of null", `{"a":[{"prefix":""}]}`, `{"a":null}`, false},
		{"prefix, ignore case", `{"a":[{"prefix":{"equals-ignore-case":"aB"}}]}`, `{"a":"Abc"}`, true},
		{"prefix, ignore case, other", `{"a":[{"prefix":{"equals-ignore-case":"aB"}}]}`, `{"a":"bab"}`, false},
		{"suffix", `{"a":[{"suffix":".png"}]}`, `{"a":"x.png"}`, true},
		{"suffix, other", `{"a":[{"suffix":".png"}]}`, `{"a":"x.pngx"}`, false},
		{"suffix, ignore case", `{"a":[{"suffix":{"equals-ignore-case":".PNG"}}]}`, `{"a":"x.pnG"}`, true},
		{"equals-ignore-case", `{"a":[{"equals-ignore-case":"aLiCe"}]}`, `{"a":"AlIcE"}`, true},
		{"equals-ignore-case, longer", `{"a":[{"equals-ignore-case":"alice"}]}`, `{"a":"alicea"}`, false},
		{"equals-ignore-case, not ASCII", `{"a":[{"equals-ignore-case":"ÉΣk"}]}`, `{"a":"éςK"}`, true},

		{"wildcard, middle", `{"a":[{"wildcard":"a*c"}]}`, `{"a":"abbc"}`, true},
		{"wildcard, star is empty", `{"a":[{"wildcard":"a*c"}]}`, `{"a":"ac"}`, true},
		{"wildcard, ends do not overlap", `{"a":[{"wildcard":"ab*ba"}]}`, `{"a":"aba"}`, false},
		{"wildcard, several", `{"a":[{"wildcard":"*a*b*"}]}`, `{"a":"xxaxbx"}`, true},
		{"wildcard, order", `{"a":[{"wildcard":"*a*b*"}]}`, `{"a":"ba"}`, false},
		{"wildcard, none", `{"a":[{"wildcard":"abc"}]}`, `{"a":"abc"}`, true},
		{"wildcard, only", `{"a":[{"wildcard":"*"}]}`, `{"a":""}`, true},
		{"wildcard, only, of a number", `{"a":[{"wildcard":"*"}]}`, `{"a":1}`, false},
		{"wildcard, empty", `{"a":[{"wildcard":""}]}`, `{"a":""}`, true},
		{"wildcard, empty, other", `{"a":[{"wildcard":""}]}`, `{"a":"x"}`, false},
		{"wildcard, escaped star", `{"a":[{"wildcard":"a\\*c"}]}`, `{"a":"a*c"}`, true},
		{"wildcard, escaped star is literal", `{"a":[{"wildcard":"a\\*c"}]}`, `{"a":"abc"}`, false},
		{"wildcard, escaped backslash", `{"a":[{"wildcard":"a\\\\*"}]}`, `{"a":"a\\bc"}`, true},
		{"wildcard, star after escaped star", `{"a":[{"wildcard":"\\**"}]}`, `{"a":"*x"}`, true},

		{"anything-but, string", `{"a":[{"anything-but":"x"}]}`, `{"a":"y"}`, true},
		{"anything-but, that string", `{"a":[{"anything-but":"x"}]}`, `{"a":"x"}`, false},
		{"anything-but, absent", `{"a":[{"anything-but":"x"}]}`, `{}`, false},
		{"anything-but, null", `{"a":[{"anything-but":"x"}]}`, `{"a":null}`, true},
		{"anything-but, an object", `{"a":[{"anything-but":"x"}]}`, `{"a":{"b":1}}`, false},
		{"anything-but, empty string", `{"a":[{"anything-but":""}]}`, `{"a":""}`, false},
		{"anything-but, number", `{"a":[{"anything-but":5}]}`, `{"a":5.0}`, false},
		{"anything-but, number and string", `{"a":[{"anything-but":5}]}`, `{"a":"5"}`, true},
		{"anything-but, list", `{"a":[{"anything-but":["x","y"]}]}`, `{"a":"z"}`, true},
		{"anything-but, in list", `{"a":[{"anything-but":["x","y"]}]}`, `{"a":"y"}`, false},
		{"anything-but, in list of numbers", `{"a":[{"anything-but":[1,2]}]}`, `{"a":2}`, false},
		{"anything-but, prefix", `{"a":[{"anything-but":{"prefix":"x"}}]}`, `{"a":"ax"}`, true},
		{"anything-but, that prefix", `{"a":[{"anything-but":{"prefix":"x"}}]}`, `{"a":"xa"}`, false},
		{"anything-but, prefix, of a number", `{"a":[{"anything-but":{"prefix":"1"}}]}`, `{"a":1}`, true},
		{"anything-but, prefixes", `{"a":[{"anything-but":{"prefix":["x","y"]}}]}`, `{"a":"ya"}`, false},
		{"anything-but, suffix", `{"a":[{"anything-but":{"suffix":"x"}}]}`, `{"a":"ax"}`, false},
		{"anything-but, suffixes", `{"a":[{"anything-but":{"suffix":["x","y"]}}]}`, `{"a":"xa"}`, true},
		{"anything-but, wildcard", `{"a":[{"anything-but":{"wildcard":"*/lib/*"}}]}`, `{"a":"/x/lib/y"}`, false},
		{"anything-but, wildcards", `{"a":[{"anything-but":{"wildcard":["*/lib/*","*.so"]}}]}`, `{"a":"/bin/y"}`, true},
		{"anything-but, ignore case", `{"a":[{"anything-but":{"equals-ignore-case":"init"}}]}`, `{"a":"INIT"}`, false},
		{"anything-but, ignore case list", `{"a":[{"anything-but":{"equals-ignore-case":["init","x"]}}]}`, `{"a":"go"}`, true},

		{"numeric, =", `{"a":[{"numeric":["=",3.018e2]}]}`, `{"a":301.8}`, true},
		{"numeric, <", `{"a":[{"numeric":["<",10]}]}`, `{"a":10}`, false},
		{"numeric, <=", `{"a":[{"numeric":["<=",10]}]}`, `{"a":10}`, true},
		{"numeric, >", `{"a":[{"numeric":[">",10]}]}`, `{"a":10}`, false},
		{"numeric, >=", `{"a":[{"numeric":[">=",10]}]}`, `{"a":10}`, true},
		{"numeric, range", `{"a":[{"numeric":[">",0,"<=",5]}]}`, `{"a":5}`, true},
		{"numeric, at the open end", `{"a":[{"numeric":[">",0,"<=",5]}]}`, `{"a":0}`, false},
		{"numeric, past the range", `{"a":[{"numeric":[">",0,"<=",5]}]}`, `{"a":5.1}`, false},
		{"numeric, of a string", `{"a":[{"numeric":[">",0]}]}`, `{"a":"1"}`, false},
		{"numeric, past any double", `{"a":[{"numeric":[">",0]}]}`, `{"a":1e400}`, true},

		{"cidr", `{"a":[{"cidr":"10.0.0.0/24"}]}`, `{"a":"10.0.0.255"}`, true},
		{"cidr, outside", `{"a":[{"cidr":"10.0.0.0/24"}]}`, `{"a":"10.0.1.0"}`, false},
		{"cidr, host bits", `{"a":[{"cidr":"10.0.0.77/24"}]}`, `{"a":"10.0.0.1"}`, true},
		{"cidr, one address", `{"a":[{"cidr":"10.0.0.1/32"}]}`, `{"a":"10.0.0.1"}`, true},
		{"cidr, everything", `{"a":[{"cidr":"0.0.0.0/0"}]}`, `{"a":"1.2.3.4"}`, true},
		{"cidr, no address", `{"a":[{"cidr":"0.0.0.0/0"}]}`, `{"a":"1.2.3"}`, false},
		{"cidr, v6", `{"a":[{"cidr":"2001:db8::/32"}]}`, `{"a":"2001:DB8:1::2"}`, true},
		{"cidr, v6 outside", `{"a":[{"cidr":"2001:db8::/32"}]}`, `{"a":"2001:db9::"}`, false},
		{"cidr, v4 is not v6", `{"a":[{"cidr":"::/0"}]}`, `{"a":"1.2.3.4"}`, false},
		{"cidr, v4 in v6", `{"a":[{"cidr":"10.0.0.0/8"}]}`, `{"a":"::ffff:10.1.2.3"}`, true},

		{"exists", `{"a":[{"exists":true}]}`, `{"a":0}`, true},
		{"exists, null", `{"a":[{"exists":true}]}`, `{"a":null}`, true},
		{"exists, absent", `{"a":[{"exists":true}]}`, `{"b":1}`, false},
		{"exists, object", `{"a":[{"exists":true}]}`, `{"a":{"b":1}}`, false},
		{"exists, empty array", `{"a":[{"exists":true}]}`, `{"a":[]}`, false},
		{"exists, below an empty array", `{"d":{"a":[{"exists":true}]}}`, `{"d":[]}`, false},
		{"exists, array", `{"a":[{"exists":true}]}`, `{"a":[1]}`, true},
		{"exists false", `{"a":[{"exists":false}]}`, `{"b":1}`, true},
		{"exists false, there", `{"a":[{"exists":false}]}`, `{"a":null}`, false},
		{"exists false, object", `{"a":[{"exists":false}]}`, `{"a":{"b":1}}`, true},
		{"exists false, empty array", `{"a":[{"exists":false}]}`, `{"a":[]}`, true},
		{"exists false or value, absent", `{"a":[{"exists":false},"x"]}`, `{}`, true},
		{"exists false or value, value", `{"a":[{"exists":false},"x"]}`, `{"a":"x"}`, true},
		{"exists false or value, other", `{"a":[{"exists":false},"x"]}`, `{"a":"y"}`, false},

		{"and", `{"a":[1],"b":[2]}`, `{"a":1,"b":2,"c":3}`, true},
		{"and, one fails", `{"a":[1],"b":[2]}`, `{"a":1,"b":3}`, false},
		{"nesting", `{"a":{"b":{"c":["x"]}}}`, `{"a":{"b":{"c":"x"}}}`, true},
		{"nesting, not deep enough", `{"a":{"b":["x"]}}`, `{"a":"x"}`, false},
		{"nesting, too deep", `{"a":["x"]}`, `{"a":{"a":"x"}}`, false},
		{"dots in pattern", `{"a.b":{"c":["x"]}}`, `{"a":{"b":{"c":"x"}}}`, true},
		{"dots in object", `{"a":{"b":{"c":["x"]}}}`, `{"a":{"b.c":"x"}}`, true},
		{"dots in both", `{"a":{"b.c":["x"]}}`, `{"a.b":{"c":"x"}}`, true},
		{"dot at the end", `{"a.":["x"]}`, `{"a":{"":"x"}}`, true},
		{"escaped key", `{"é":["x"]}`, `{"\u00e9":"x"}`, true},
		{"repeated key, first", `{"a":["x"]}`, `{"a":"x","a":"y"}`, true},
		{"repeated key, last", `{"a":["y"]}`, `{"a":"x","a":"y"}`, true},
		{"repeated key, objects", `{"a":{"b":[1],"c":[2]}}`, `{"a":{"b":1},"a":{"c":2}}`, true},
		{"repeated key, arrays are one array", `{"a":{"b":[1],"c":[2]}}`, `{"a":[{"b":1}],"a":[{"c":2}]}`, false},

		{"or, first", `{"s":["x"],"$or":[{"a":[1]},{"b":[2]}]}`, `{"s":"x","a":1}`, true},
		{"or, second", `{"s":["x"],"$or":[{"a":[1]},{"b":[2]}]}`, `{"s":"x","b":2}`, true},
		{"or, neither", `{"s":["x"],"$or":[{"a":[1]},{"b":[2]}]}`, `{"s":"x","b":1}`, false},
		{"or, other field fails", `{"s":["x"],"$or":[{"a":[1]},{"b":[2]}]}`, `{"s":"y","a":1}`, false},
		{"or before the field", `{"$or":[{"a":[1]},{"b":[2]}],"s":["x"]}`, `{"s":"y","a":1}`, false},
		{"or, below", `{"d":{"$or":[{"a":[1]},{"b":[2]}]}}`, `{"d":{"b":2}}`, true},
		{"or, and inside", `{"$or":[{"a":[1],"b":[2]},{"c":[3]}]}`, `{"a":1}`, false},
		{"or, nested", `{"$or":[{"a":[1],"$or":[{"b":[2]},{"c":[3]}]},{"e":[4]}]}`, `{"a":1,"c":3}`, true},
		{"or, nested, half", `{"$or":[{"a":[1],"$or":[{"b":[2]},{"c":[3]}]},{"e":[4]}]}`, `{"c":3}`, false},
		{"or, two", `{"$or":[{"a":[1]},{"b":[2]}],"d":{"$or":[{"a":[1]},{"b":[2]}]}}`, `{"b":2,"d":{"a":1}}`, true},
		{"or, two, one", `{"$or":[{"a":[1]},{"b":[2]}],"d":{"$or":[{"a":[1]},{"b":[2]}]}}`, `{"b":2}`, false},
		{"or as a field, object", `{"$or":{"a":[1]}}`, `{"$or":{"a":1}}`, true},
		{"or as a field, values", `{"$or":["x","y"]}`, `{"$or":"y"}`, true},
		{"or as a field, operators", `{"$or":[{"numeric":["=",1]},{"prefix":"abc"}]}`, `{"$or":"abcd"}`, true},
		{"or as a field, one operator", `{"$or":[{"prefix":"abc"}]}`, `{"$or":"abcd"}`, true},

		{"array, one is", `{"a":["y"]}`, `{"a":["x","y"]}`, true},
		{"array, none is", `{"a":["z"]}`, `{"a":["x","y"]}`, false},
		{"array, nested", `{"a":["y"]}`, `{"a":[["x"],[["y"]]]}`, true},
		{"array, anything-but needs one other", `{"a":[{"anything-but":"x"}]}`, `{"a":["x","y"]}`, true},
		{"array, anything-but, no other", `{"a":[{"anything-but":"x"}]}`, `{"a":["x"]}`, false},
		{"array, numeric", `{"a":[{"numeric":[">",0,"<",10]}],"t":["ok"]}`, `{"a":[100,5,200],"t":"ok"}`, true},
		{"array of objects, one field", `{"employees":{"first":["Anna"]}}`, company, true},
		{"array of objects, one element", `{"employees":{"first":["Anna"],"last":["Smith"]}}`, company, true},
		{"array of objects, two elements", `{"employees":{"first":["Anna"],"last":["Jones"]}}`, company, false},
		{"array of arrays of objects", `{"e":{"f":["Anna"],"l":["Jones"]}}`, `{"e":[[{"f":"Anna"},{"l":"Jones"}]]}`, false},
		{"array of arrays, other arrays", `{"e":{"f":["Anna"],"l":["Jones"]}}`, `{"e":[[{"f":"Anna"}],[{"l":"Jones"}]]}`, false},
		{"array of arrays, one element", `{"e":{"f":["Anna"],"l":["Smith"]}}`, `{"e":[[{"f":"Bo"}],[{"f":"Anna","l":"Smith"}]]}`, true},
		{"arrays within one element are independent", `{"d":{"a":{"x":[1]},"b":{"y":[2]}}}`, `{"d":[{"a":[{"x":1}],"b":[{"y":0},{"y":2}]}]}`, true},
		{"arrays within two elements", `{"d":{"a":{"x":[1]},"b":{"y":[2]}}}`, `{"d":[{"a":[{"x":1}]},{"b":[{"y":2}]}]}`, false},
		{"arrays beside each other", `{"a":{"x":[1]},"b":{"x":[2]}}`, `{"a":[{"x":0},{"x":1}],"b":[{"x":2},{"x":0}]}`, true},
		{"array and scalar beside it", `{"a":{"x":[1]},"v":["1"]}`, `{"a":[{"x":1}],"v":"1"}`, true},
		{"inner element, same", `{"u":{"t":{"k":["color"],"v":["blue"]}}}`, `{"u":[{"t":[{"k":"color","v":"blue"}]}]}`, true},
		{"inner element, split", `{"u":{"t":{"k":["color"],"v":["blue"]}}}`, `{"u":[{"t":[{"k":"color"},{"v":"blue"}]}]}`, false},
		{"outer element, split", `{"d":{"name":[{"exists":true}],"info":{"x":["1"]}}}`, `{"d":[{"name":"alice"},{"info":{"x":"1"}}]}`, false},
		{"last element", `{"d":{"a":[3],"b":[4]}}`, `{"d":[{"a":3},{"b":4},{"a":3,"b":4}]}`, true},
		{"scalars of one array go together", `{"d":{"t":["a"],"u":["b"]}}`, `{"d":[{"t":["x","a"],"u":["b","y"]}]}`, true},
		{"scalar and object in one array", `{"d":["s"]}`, `{"d":["s",{"a":1}]}`, true},
		{"scalar and element go together", `{"d":["s"],"d.a":[1]}`, `{"d":["s",{"a":1}]}`, true},
		{"three fields, three elements", `{"d":{"a":[1],"b":[2],"c":[3]}}`, `{"d":[{"a":1},{"b":2},{"c":3}]}`, false},
		{"absent in the element", `{"d":{"a":[1],"b":[{"exists":false}]}}`, `{"d":[{"a":1}]}`, true},
		{"there in the element", `{"d":{"a":[1],"b":[{"exists":false}]}}`, `{"d":[{"a":1,"b":2}]}`, false},
		{"there in another element", `{"d":{"a":[1],"b":[{"exists":false}]}}`, `{"d":[{"a":1},{"b":2}]}`, true},
		{"there in another element, absent first", `{"d":{"b":[1],"a":[{"exists":false}]}}`, `{"d":[{"b":1},{"a":2}]}`, true},
		{"absent from the element, there beside it", `{"b":[{"exists":false}],"b.c":[1]}`, `{"b":["x",{"c":1}]}`, false},
		{"absent field alone", `{"d":{"b":[{"exists":false}]}}`, `{"d":[{"a":1},{"b":2}]}`, false},
		{"absent field, element not chosen", `{"v":[1],"d":{"b":[{"exists":false}]}}`, `{"v":1,"d":[{"a":1},{"b":2}]}`, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := match.Parse([]byte(tt.pattern))
			if err != nil {
				t.Fatalf("Parse(%s): %v", tt.pattern, err)
			}
			got, err := p.MatchJSON([]byte(tt.object))
			if err != nil || got != tt.want {
				t.Errorf("%s MatchJSON(%s) = %v, %v, want %v", tt.pattern, tt.object, got, err, tt.want)
			}
			if want := referenceMatch(t, tt.pattern, tt.object); want != tt.want {
				t.Errorf("the reference matcher says %v, want %v", want, tt.want)
			}
			path, reason, matched, err := p.Explain([]byte(tt.object))
			if err != nil || matched != tt.want || matched != (reason == "") {
				t.Errorf("%s Explain(%s) = %q, %q, %v, %v, want matched %v", tt.pattern, tt.object, path, reason, matched, err, tt.want)
			}
		})
	}
}

func TestMatchJSONRefuses(t *testing.T) {
	objects := []string{
		``, ` `, `null`, `[]`, `"x"`, `1`, `{`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{a:1}`, `{"a":01}`, `{"a":1.}`, `{"a":-}`, `{"a":1e}`, `{"a":.5}`, `{"a":+1}`,
		`{"a":tru}`, `{"a":nul}`, `{"a":"\x"}`, `{"a":"\u12"}`, `{"a":"\`, "{\"a\":\"\n\"}", `{"a":[1,]}`, `{"a":[1 2]}`, `{"a":[`, `{"a":1}x`, `{"a":1} {}`, `{"a" 1}`,
		`{"b":{"c":tru}}`, `{"b":["\q"]}`, `{"a":` + strings.Repeat("[", 10001) + strings.Repeat("]", 10001) + `}`,
	}
	for _, pattern := range []string{`{}`, `{"a":[{"exists":true}]}`, `{"b":["x"]}`} {
		p := mustParse(t, pattern)
		set := match.NewSet([]match.Rule[int]{{Pattern: p, Value: 1}})
		for _, o := range objects {
			if _, err := p.MatchJSON([]byte(o)); !errors.Is(err, match.ErrNotObject) {
				t.Errorf("%s MatchJSON(%.40s) = %v, want ErrNotObject", pattern, o, err)
			}
			if got, err := set.MatchJSON([]byte(o), nil); !errors.Is(err, match.ErrNotObject) || len(got) != 0 {
				t.Errorf("Set.MatchJSON(%.40s) = %v, %v, want ErrNotObject", o, got, err)
			}
			if _, _, _, err := p.Explain([]byte(o)); !errors.Is(err, match.ErrNotObject) {
				t.Errorf("Explain(%.40s) = %v, want ErrNotObject", o, err)
			}
		}
	}
}

func TestExplain(t *testing.T) {
	tests := []struct{ pattern, object, path, reason string }{
		{`{"a":["x"]}`, `{}`, "a", `is not there; wanted ["x"]`},
		{`{"a":["x"],"d":{"n":[{"numeric":[">",5]}]}}`, `{"a":"x","d":{"n":3}}`, "d.n", `is 3; wanted [{"numeric":[">",5]}]`},
		{`{"a":[{"prefix":"<"}]}`, `{"a":["y",true,null,1.5,2,3,4]}`, "a", `is "y", true, null, 1.5, 2 and 2 more; wanted [{"prefix":"<"}]`},
		{`{"a":[{"exists":false}]}`, `{"a":false}`, "a", `is false; wanted [{"exists":false}]`},
		{`{"a":[1],"$or":[{"b":[2]},{"c":[3],"e":[4]}]}`, `{"a":1,"c":3}`, "e", `is not there; wanted [4]`},
		{`{"v":["x"],"a":{"x":[1]},"d":{"x":[1],"y":[2]}}`, `{"v":"x","a":[{"x":1}],"d":[{"x":1},{"y":2}]}`, "a.x", `each field matches, but only from different elements of an array`},
		{`{"d":{"a":[1],"b":[2]}}`, `{"d":[{"a":1},{"b":2}]}`, "d", `each field matches, but only from different elements of an array`},
	}
	for _, tt := range tests {
		path, reason, matched, err := mustParse(t, tt.pattern).Explain([]byte(tt.object))
		if path != tt.path || reason != tt.reason || matched || err != nil {
			t.Errorf("%s Explain(%s) = %q, %q, %v, %v, want %q, %q", tt.pattern, tt.object, path, reason, matched, err, tt.path, tt.reason)
		}
	}
}

func mustParse(t testing.TB, pattern string) *match.Pattern {
	t.Helper()
	p, err := match.Parse([]byte(pattern))
	if err != nil {
		t.Fatalf("Parse(%s): %v", pattern, err)
	}
	return p
}
