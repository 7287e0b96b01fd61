package aws_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	service "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/dalamb/dalamb/internal/need"
)

// push stores an image that starts as its config says in the node's own registry, and returns what names it there.
func (n *node) push(repository string, c v1.Config) string {
	n.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	ok(n.T, w.WriteHeader(&tar.Header{Name: "app", Mode: 0o755, Size: 3}))
	_, err := io.WriteString(w, "app")
	ok(n.T, err)
	ok(n.T, w.Close())
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	ok(n.T, err)
	img, err := mutate.AppendLayers(empty.Image, layer)
	ok(n.T, err)
	file, err := img.ConfigFile()
	ok(n.T, err)
	img, err = mutate.ConfigFile(img, &v1.ConfigFile{OS: "linux", Architecture: runtime.GOARCH, Config: c, RootFS: file.RootFS})
	ok(n.T, err)
	at := strings.TrimPrefix(n.control, "http://") + "/" + repository
	ref, err := name.ParseReference(at)
	ok(n.T, err)
	ok(n.T, remote.Write(ref, img, remote.WithContext(n.Context()), remote.WithAuth(&authn.Basic{Username: "me", Password: n.token})))
	return at
}

// starts checks what starts the function, by dalamb's own word and by AWS's.
func (n *node) starts(name, command string, said []string) {
	n.Helper()
	entry := n.spec(name)["entry"].(map[string]any)
	got, err := n.lambda.GetFunctionConfiguration(n.Context(), &service.GetFunctionConfigurationInput{FunctionName: &name})
	ok(n.T, err)
	var told []string
	if r := got.ImageConfigResponse; r != nil {
		told = r.ImageConfig.EntryPoint
	}
	if fmt.Sprint(entry["command"]) != command || fmt.Sprint(told) != fmt.Sprint(said) {
		n.Errorf("%s is started by %v, and ImageConfig is %q; want %s and %q", name, entry["command"], told, command, said)
	}
}

func TestAnImagesLife(t *testing.T) {
	need.Linux(t)
	need.Root(t)
	n := startNodeWith(t, "native")
	ctx, pay := t.Context(), sdk.String("pay")
	one := n.push("fn/pay:1", v1.Config{Entrypoint: []string{"/app"}, Cmd: []string{"one"}})
	two := n.push("fn/pay:2", v1.Config{Entrypoint: []string{"/app"}, Cmd: []string{"two"}})

	_, err := n.lambda.CreateFunction(ctx, &service.CreateFunctionInput{FunctionName: pay, PackageType: types.PackageTypeImage, Role: sdk.String("any"), Code: &types.FunctionCode{ImageUri: &one}})
	ok(t, err)
	n.starts("pay", "[/app one]", nil)
	_, err = n.lambda.UpdateFunctionConfiguration(ctx, &service.UpdateFunctionConfigurationInput{FunctionName: pay, MemorySize: sdk.Int32(256)})
	ok(t, err)
	n.starts("pay", "[/app one]", nil)
	_, err = n.lambda.UpdateFunctionCode(ctx, &service.UpdateFunctionCodeInput{FunctionName: pay, ImageUri: &two})
	ok(t, err)
	n.starts("pay", "[/app two]", nil) // what the first image said is not the function's own

	_, err = n.lambda.UpdateFunctionConfiguration(ctx, &service.UpdateFunctionConfigurationInput{FunctionName: pay, ImageConfig: &types.ImageConfig{Command: []string{"own"}}})
	refused(t, "a Command for the image's own entry point", err, "InvalidParameterValueException", 400)
	_, err = n.lambda.UpdateFunctionConfiguration(ctx, &service.UpdateFunctionConfigurationInput{FunctionName: pay, ImageConfig: &types.ImageConfig{EntryPoint: []string{"/app"}, Command: []string{"own"}}})
	ok(t, err)
	n.starts("pay", "[/app own]", []string{"/app", "own"})
	_, err = n.lambda.UpdateFunctionCode(ctx, &service.UpdateFunctionCodeInput{FunctionName: pay, ImageUri: &one})
	ok(t, err)
	n.starts("pay", "[/app own]", []string{"/app", "own"})
	_, err = n.lambda.UpdateFunctionConfiguration(ctx, &service.UpdateFunctionConfigurationInput{FunctionName: pay, ImageConfig: &types.ImageConfig{}})
	ok(t, err)
	n.starts("pay", "[/app one]", nil)
}
