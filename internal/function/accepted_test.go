package function

import (
	"strings"
	"testing"
)

// TestWhatCannotBeMeantIsRefused: it would be accepted, and never do anything.
func TestWhatCannotBeMeantIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"triggers: [{route: {method: GETT, path: /a}}]":     `triggers[0].route.method: "GETT" is no method`,
		"triggers: [{route: {method: PROPFIND, path: /a}}]": "",
		"scale: {idle: 1m, freeze: 2m}":                     "scale.freeze: an instance is stopped after 1m (scale.idle), and so never frozen after 2m (make it shorter than scale.idle, or 0 for never)",
		"scale: {idle: 1s}":                                 "", // shorter than the default of freeze, which nobody wrote
		"scale: {idle: 1m, freeze: 1m}":                     "",
		"scale: {idle: 1s, freeze: 0}":                      "",
	} {
		_, err := ParseManifest("dalamb.yaml", []byte("name: f\nentry: {type: lambda, command: [./f]}\ncode: .\n"+text+"\n"))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
