package function

import (
	"strings"
	"testing"
)

func TestShapesOfRoutes(t *testing.T) {
	for _, text := range []string{
		"redirect: {to: /new}", "redirect: {to: 'https://shop.example', status: 308}", "redirect: {to: 'https://shop.example/a?b=c#d'}",
		"rewrite: {path: /v2, host: inner.example}", "rewrite: {stripPrefix: /x}", "compress: true", "body: {max: 64Ki}",
		"rewrite: {path: /v2}, compress: true, body: {max: 1}",
	} {
		if _, err := routeOf(t, text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for text, want := range map[string]string{
		"redirect: {}":                            "redirect.to",
		"redirect: {to: new}":                     `redirect.to: "new" is neither`,
		"redirect: {to: '//evil.example'}":        "redirect.to",
		"redirect: {to: 'javascript:alert(1)'}":   "redirect.to",
		"redirect: {to: 'ftp://a/b'}":             "redirect.to",
		"redirect: {to: 'https://u:p@a/b'}":       "redirect.to",
		"redirect: {to: 'https://{x}/b'}":         "redirect.to: a client could choose the host",
		"redirect: {to: '/{x}'}":                  "redirect.to: {x} stands for nothing",
		"redirect: {to: '/a?b={x}'}":              "redirect.to: the query of a redirect",
		"redirect: {to: '/{'}":                    "redirect.to",
		"redirect: {to: /a, status: 200}":         "redirect.status: 200 sends nobody elsewhere",
		"redirect: {to: /a}, rewrite: {path: /b}": "redirect: no function sees",
		"rewrite: {}":                             "rewrite: changes nothing",
		"rewrite: {path: b}":                      `rewrite.path: "b" is no path`,
		"rewrite: {path: //b}":                    "rewrite.path",
		"rewrite: {path: '/b?c'}":                 "rewrite.path",
		"rewrite: {path: '/{id}'}":                "rewrite.path: {id} stands for nothing",
		"rewrite: {path: /b, stripPrefix: /x}":    "rewrite: says twice",
		"rewrite: {stripPrefix: /y}":              "rewrite.stripPrefix: the route's path does not begin",
		"rewrite: {stripPrefix: /x/}":             "rewrite.stripPrefix",
		"rewrite: {host: 'A:1'}":                  `rewrite.host: "A:1" is no host`,
		"body: {}":                                "body.max",
		"body: {max: 0}":                          "body.max: 0 is out of range",
		"compress: gzip":                          "compress",
		"static: {}":                              "static",
		"static: {dir: public}":                   "static: the route's path does not end with {NAME...}",
	} {
		if _, err := routeOf(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error = %v, want %q", text, err, want)
		}
	}
}

func TestFilesOfARoute(t *testing.T) {
	read := func(path, rest string) (*Spec, error) {
		m, err := ParseManifest("dalamb.yaml", []byte("name: pay\nentry: {type: lambda, command: [./a]}\ntriggers:\n- {name: r, route: {path: '"+path+"', "+rest+"}}\n"))
		if err != nil {
			return nil, err
		}
		return &m.Functions[0].Spec, nil
	}
	s, err := read("/a/{file...}", "static: {dir: web/public, spa: true, cacheControl: 'max-age=60'}")
	if err != nil {
		t.Fatal(err)
	}
	if r := s.Triggers[0].Route; r.Rest() != "file" || r.Static.IndexFile() != "index.html" {
		t.Errorf("rest %q, index %q", r.Rest(), r.Static.IndexFile())
	}
	for text, want := range map[string]string{
		"static: {dir: .}":                          `static.dir: "." is no directory below the code`,
		"static: {dir: ../up}":                      "static.dir",
		"static: {dir: /etc}":                       "static.dir",
		"static: {dir: a/.git}":                     "static.dir",
		"static: {dir: a, index: b/c}":              "static.index",
		"static: {dir: a, index: .x}":               "static.index",
		"static: {dir: a, cacheControl: \"a\\nb\"}": "static.cacheControl",
		"method: POST, static: {dir: a}":            "static: files are read",
		"static: {dir: a}, redirect: {to: /b}":      "static: a route with files",
	} {
		if _, err := read("/a/{file...}", text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error = %v, want %q", text, err, want)
		}
	}
}

func TestAnImageHasNoFilesToShow(t *testing.T) {
	_, err := ParseManifest("dalamb.yaml", []byte("name: pay\nimage: shop/pay:1\nentry: {type: http}\ntriggers:\n- {name: r, route: {path: '/a/{file...}', static: {dir: a}}}\n"))
	if want := "static: the function is an image"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error = %v, want %q", err, want)
	}
}

func TestWhatIsFilledIn(t *testing.T) {
	values := map[string]string{"id": "a/b c", "rest": "x/y z/", "up": "..", "far": "x/../y", "host": "/evil.example", "none": ""}
	for text, want := range map[string]string{
		"/plain": "/plain", "/i/{id}/v": "/i/a%2Fb%20c/v", "/i/{rest...}": "/i/x/y%20z/", "/i/{none...}": "/i/", "/i/{up}": "-", "/{far...}": "-", "/{host...}": "-", "/{host}": "/%2Fevil.example",
	} {
		if got, ok := Fill(text, func(name string) string { return values[name] }); ok != (want != "-") || ok && got != want {
			t.Errorf("Fill(%s) = %s, %v, want %s", text, got, ok, want)
		}
	}
}
