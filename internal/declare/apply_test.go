package declare

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// TestWhatIsReleasedIsTheImageThatWasTried has a node that finds an image when a plan is prepared.
func TestWhatIsReleasedIsTheImageThatWasTried(t *testing.T) {
	const digest = "sha256:found"
	var asked []wire.ReleaseRequest
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var req wire.ReleaseRequest
		if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
			t.Error(err)
		}
		asked = append(asked, req)
		var out wire.Released
		for _, f := range req.Functions {
			one := wire.Deployed{Function: f.Spec.Name, Alias: f.Alias}
			if f.Spec.Image != "" && (req.Images || !req.DryRun) {
				one.Image = &wire.DeployedImage{Reference: f.Spec.Image, Digest: digest}
			}
			out.Functions = append(out.Functions, one)
		}
		if err := json.NewEncoder(w).Encode(out); err != nil {
			t.Error(err)
		}
	}))
	defer node.Close()
	c, err := client.New(client.Options{Address: node.URL, Token: "x"})
	if err != nil {
		t.Fatal(err)
	}
	p := &Plan{Steps: []Step{
		{deploy: &Function{Alias: function.LiveAlias, Spec: function.Spec{Name: "web", Image: "registry.example/web:stable"}}},
		{deploy: &Function{Alias: function.LiveAlias, Spec: function.Spec{Name: "pay"}, Code: "sha256:code"}},
	}}
	err = p.Try(t.Context(), &State{}, c)
	if err == nil {
		err = p.Prepare(t.Context(), &State{}, c, func(string, string) {})
	}
	if err == nil {
		_, err = p.Apply(t.Context(), c, func(Step) {})
	}
	if err != nil || len(asked) != 3 {
		t.Fatalf("the node was asked %d times, %v; want a try, one with images, and the release", len(asked), err)
	}
	for i, want := range []string{"", "", digest} {
		if web, pay := asked[i].Functions[0], asked[i].Functions[1]; web.ImageDigest != want || pay.ImageDigest != "" {
			t.Errorf("request %d wants the images %q and %q, want %q for web alone", i, web.ImageDigest, pay.ImageDigest, want)
		}
	}
}
