package registry

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// The child of the crash test is this test binary, told by its environment: it serves a registry until it is killed.
const childDir = "DALAMB_TEST_REGISTRY_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		fmt.Fprintln(os.Stderr, "child:", childServe(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func childServe(dir string) error {
	g, err := openIn(dir)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("http://" + l.Addr().String())
	return http.Serve(l, g)
}

// startChild starts a registry in another process; kill ends it with SIGKILL.
func startChild(t *testing.T, dir string) (url string, kill func()) {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env, c.Stderr = append(os.Environ(), childDir+"="+dir), os.Stderr
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		_ = c.Process.Kill()
		_ = c.Wait() // says that it was killed
	})
	t.Cleanup(kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the child says nothing: %v", err)
	}
	return strings.TrimSpace(line), kill
}

// pusher pushes images until the registry is gone, and remembers what was acknowledged.
type pusher struct {
	url   string
	acked map[string]string // tag -> layer
	told  chan<- struct{}   // of each acknowledgement
}

func (p *pusher) run(life, who int) {
	for i := 0; ; i++ {
		tag, layer := fmt.Sprintf("t%d-%d-%d", life, who, i), fmt.Sprintf("layer %d %d %d ", life, who, i)+strings.Repeat("x", rand.IntN(200_000))
		config := "{}"
		m := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":{"digest":%q,"size":2},"layers":[{"digest":%q,"size":%d}]}`, typeManifest, digestOf(config), digestOf(layer), len(layer))
		for _, c := range [][2]string{
			{"POST /v2/kill/me/blobs/uploads/?digest=" + digestOf(config), config},
			{"POST /v2/kill/me/blobs/uploads/?digest=" + digestOf(layer), layer},
			{"PUT /v2/kill/me/manifests/" + tag, m},
		} {
			method, path, _ := strings.Cut(c[0], " ")
			r, err := http.NewRequest(method, p.url+path, strings.NewReader(c[1]))
			if err != nil {
				return
			}
			r.SetBasicAuth("x", token)
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				return
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusCreated {
				return
			}
		}
		p.acked[tag] = layer
		p.told <- struct{}{}
	}
}

func TestKilledInTheMiddleOfPushes(t *testing.T) {
	dir := t.TempDir()
	acked := map[string]string{}
	const lives, pushers = 8, 3
	for life := range lives {
		url, kill := startChild(t, dir)
		var wg sync.WaitGroup
		var all [pushers]pusher
		told := make(chan struct{}, 10_000)
		for who := range all {
			all[who] = pusher{url: url, acked: map[string]string{}, told: told}
			wg.Go(func() { all[who].run(life, who) })
		}
		for range 1 + rand.IntN(20) {
			<-told
		}
		kill()
		wg.Wait()
		for _, p := range all {
			for tag, layer := range p.acked {
				acked[tag] = layer
			}
		}
	}
	h := serveFrom(t, dir)
	tags, _ := h.pages("/v2/kill/me/tags/list", "tags")
	t.Logf("%d pushes acknowledged, %d tags", len(acked), len(tags))
	for tag := range acked {
		h.must(http.StatusOK, call{method: "GET", path: "/v2/kill/me/manifests/" + tag})
	}
	for _, tag := range tags { // acknowledged or not: what is listed can be pulled
		d, needs, err := parseManifest("", []byte(h.must(http.StatusOK, call{method: "GET", path: "/v2/kill/me/manifests/" + tag}).body))
		if err != nil {
			t.Fatal(err)
		}
		for _, need := range needs {
			if got := h.must(http.StatusOK, call{method: "GET", path: "/v2/kill/me/blobs/" + need.Digest}); digestOf(got.body) != need.Digest {
				t.Errorf("tag %s: blob %s has %d other bytes", tag, need.Digest, len(got.body))
			}
		}
		if layer, ok := acked[tag]; ok && d.Layers[0].Digest != digestOf(layer) {
			t.Errorf("tag %s is another image than was acknowledged", tag)
		}
	}
	if list, err := os.ReadDir(filepath.Join(dir, "content", "tmp")); err != nil || len(list) != 0 {
		t.Errorf("%d temporary files after the restart, %v", len(list), err)
	}
}

func TestUploadGoesOnAfterAKill(t *testing.T) {
	dir := t.TempDir()
	url, kill := startChild(t, dir)
	first := &harness{TB: t, url: url}
	at := first.must(http.StatusAccepted, call{method: "POST", path: "/v2/a/blobs/uploads/"}).header.Get("Location")
	first.must(http.StatusAccepted, call{method: "PATCH", path: at, body: "01234"})
	kill()
	url, _ = startChild(t, dir)
	second := &harness{TB: t, url: url}
	if got := second.must(http.StatusNoContent, call{method: "GET", path: at}).header.Get("Range"); got != "0-4" {
		t.Errorf("Range after the kill = %s, want 0-4", got)
	}
	second.must(http.StatusAccepted, call{method: "PATCH", path: at, body: "56789", header: map[string]string{"Content-Range": "5-9"}})
	second.must(http.StatusCreated, call{method: "PUT", path: at + "?digest=" + digestOf("0123456789")})
}
