package function

import (
	"strings"
	"testing"
)

func TestTheDocumentOfARoute(t *testing.T) {
	const head = "name: f\nentry: {type: http, command: [f]}\ntriggers:\n  - route: {path: /a, validate: "
	for _, c := range []struct{ name, rule, want string }{
		{"a file's name", "openapi.yaml}", ""},
		{"a mapping", "{file: api/v1.json, responses: 5%, unknown: pass}}", ""},
		{"answers alone", "{file: a.yaml, requests: false, responses: 100%}}", ""},
		{"nothing", "{file: a.yaml, requests: false}}", "triggers[0].route.validate: holds nothing against the document"},
		{"no file", "{responses: 5%}}", `triggers[0].route.validate.file: "" is no file inside of the code`},
		{"above the code", "../a.yaml}", `triggers[0].route.validate.file: "../a.yaml" is no file inside of the code`},
		{"absolute", "/etc/passwd}", `triggers[0].route.validate.file: "/etc/passwd" is no file inside of the code`},
		{"another word", "{file: a, unknown: maybe}}", `triggers[0].route.validate.unknown: "maybe" is not known`},
		{"more than all", "{file: a, responses: 101%}}", `triggers[0].route.validate.responses: "101%" is not a part of 100 such as 5%`},
		{"without a function", "a, static: {dir: public}}", "triggers[0].route.validate: a route that asks no function has nothing to hold against a document"},
	} {
		_, err := ParseManifest("dalamb.yaml", []byte(head+c.rule))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
	if _, err := ParseManifest("dalamb.yaml", []byte("name: f\nimage: a/b:1\nentry: {type: http, port: 80}\ntriggers: [{route: {path: /a, validate: a.yaml}}]")); err == nil || !strings.Contains(err.Error(), "the function is an image") {
		t.Errorf("an image: %v", err)
	}
}
