package main

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// What fills the image.
const (
	imageFiles = 5000
	imageFile  = 100 << 10
)

// imageTurns is how often it is deployed, each time to a node that has nothing of it.
const imageTurns = 5

// imageRow: the deploy of an image of 500 MB from a file, against tar x of its one layer; and a cold call of a function in it, against one
// of the same program in an image without the rest.
func imageRow(ctx context.Context, b *bench) error {
	web, err := b.program(ctx, "web")
	if err != nil {
		return err
	}
	for name, files := range map[string]int{"big": imageFiles, "small": 0} {
		if err := b.makeImage(name, web, files); err != nil {
			return err
		}
	}
	turns := 0
	s, err := inTurns(ctx, b.turns(imageTurns), func() (float64, error) {
		turns++
		return b.deployToEmptyNode(ctx, fmt.Sprint("image-", turns))
	}, func() (float64, error) { return b.untar(ctx) })
	if err != nil {
		return err
	}
	value, of, ratio := s.against(0, 1)
	b.add(line{Case: "deploy of 500 MB in 5,000 files", Unit: "s", Value: value, Yardstick: "tar x of the layer", Of: of, Ratio: ratio})
	n, err := b.startNode(ctx, "image")
	if err != nil {
		return err
	}
	defer n.stop()
	for _, name := range []string{"big", "small"} {
		if err := b.deploy(ctx, n, name, fmt.Sprintf(imageManifest, name)); err != nil {
			return err
		}
	}
	s, err = inTurns(ctx, b.turns(50),
		func() (float64, error) { return coldCall(ctx, n.caller("/big")) },
		func() (float64, error) { return coldCall(ctx, n.caller("/small")) })
	if err != nil {
		return err
	}
	value, of, ratio = s.against(0, 1)
	b.add(line{Case: "cold call in an image of 500 MB", Unit: "ms", Value: value, Yardstick: "in one of the program alone", Of: of, Ratio: ratio, Target: ratioAtMost(1.2)})
	return nil
}

// deployToEmptyNode deploys the large image to a node that has none, and returns how many seconds that took. Nothing of the node is left.
func (b *bench) deployToEmptyNode(ctx context.Context, name string) (float64, error) {
	n, err := b.startNode(ctx, name)
	if err != nil {
		return 0, err
	}
	begun := time.Now()
	err = b.deploy(ctx, n, "big", fmt.Sprintf(imageManifest, "big"))
	took := time.Since(begun)
	return took.Seconds(), errors.Join(err, n.stop(), os.RemoveAll(n.data))
}

// untar unpacks the layer of the large image, and returns how many seconds that took.
func (b *bench) untar(ctx context.Context) (float64, error) {
	out := filepath.Join(b.dir, "unpacked")
	if err := os.Mkdir(out, 0o755); err != nil {
		return 0, err
	}
	begun := time.Now()
	text, err := exec.CommandContext(ctx, "tar", "xf", filepath.Join(b.dir, "code", "big.layer"), "-C", out).CombinedOutput()
	took := time.Since(begun)
	if err != nil {
		err = fmt.Errorf("unpack: %w\n%s", err, text)
	}
	return took.Seconds(), errors.Join(err, os.RemoveAll(out))
}

const imageManifest = `
name: %[1]s
image: ./%[1]s.tar
entry: {type: http, command: [/web], port: 8080}
resources: {memory: 256Mi, cpu: 8}
scale: {idle: 1ms}
triggers: [{name: call, route: {method: POST, path: /%[1]s}}]
`

// makeImage writes what docker save would have written of an image of one layer: a program, and files of noise beside it.
func (b *bench) makeImage(called, program string, files int) error {
	layer := filepath.Join(b.dir, "code", called+".layer")
	if err := writeLayer(layer, program, files); err != nil {
		return fmt.Errorf("write the layer of image %s: %w", called, err)
	}
	l, err := tarball.LayerFromFile(layer)
	if err != nil {
		return fmt.Errorf("read the layer of image %s: %w", called, err)
	}
	img, err := mutate.AppendLayers(empty.Image, l)
	if err != nil {
		return fmt.Errorf("make image %s: %w", called, err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		return fmt.Errorf("make image %s: %w", called, err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	if img, err = mutate.ConfigFile(img, config); err != nil {
		return fmt.Errorf("make image %s: %w", called, err)
	}
	ref, err := name.NewTag("bench/" + called + ":1")
	if err != nil {
		return err
	}
	return tarball.WriteToFile(filepath.Join(b.dir, "code", called+".tar"), ref, img)
}

func writeLayer(file, program string, files int) error {
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer out.Close()
	text, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	w := tar.NewWriter(out)
	if err := w.WriteHeader(&tar.Header{Name: "web", Mode: 0o755, Size: int64(len(text))}); err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		return err
	}
	noise := rand.NewChaCha8([32]byte{})
	for i := range files {
		if err := w.WriteHeader(&tar.Header{Name: fmt.Sprintf("data/%02d/%d", i%100, i), Mode: 0o644, Size: imageFile}); err != nil {
			return err
		}
		if _, err := io.CopyN(w, noise, imageFile); err != nil {
			return err
		}
	}
	return w.Close()
}
