package aws_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
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
	return n.pushFile(repository, c, "app", []byte("app"))
}

// pushFile stores an image of one program.
func (n *node) pushFile(repository string, c v1.Config, program string, content []byte) string {
	n.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	ok(n.T, w.WriteHeader(&tar.Header{Name: program, Mode: 0o755, Size: int64(len(content))}))
	_, err := w.Write(content)
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

func TestARuntimeIsAnImageOfTheNodes(t *testing.T) {
	need.Linux(t)
	need.Root(t)
	n := startNodeWith(t, "native", "aws.runtimes", "python3.99=dalamb.internal/runtimes/python:3.99")
	ctx, name := t.Context(), sdk.String("pay")
	n.pushFile("runtimes/python:3.99", v1.Config{Entrypoint: []string{"/lambda-entrypoint.sh"}, Env: []string{"LEVEL=of the image"}}, "lambda-entrypoint.sh", static(t))
	create := &service.CreateFunctionInput{FunctionName: name, Runtime: "python3.99", Handler: sdk.String("app.handler"), Role: sdk.String("any"), Timeout: sdk.Int32(20),
		Code: &types.FunctionCode{ZipFile: zipped(t, map[string]string{"app.py": "def handler(event, context): pass\n"})}}
	made, err := n.lambda.CreateFunction(ctx, create)
	ok(t, err)
	if made.PackageType != types.PackageTypeZip || made.Runtime != "python3.99" || sdk.ToString(made.Handler) != "app.handler" {
		t.Errorf("CreateFunction = %+v", made)
	}
	told := n.invoke("pay", "")
	if fmt.Sprint(told["args"]) != "[app.handler]" || told["code"] != "def handler(event, context): pass\n" || told["level"] != "of the image" {
		t.Errorf("the image's entry point tells %v", told)
	}
	_, err = n.lambda.UpdateFunctionConfiguration(ctx, &service.UpdateFunctionConfigurationInput{FunctionName: name, Handler: sdk.String("app.other")})
	ok(t, err)
	if told := n.invoke("pay", ""); fmt.Sprint(told["args"]) != "[app.other]" {
		t.Errorf("with another handler it tells %v", told)
	}
	changed, err := n.lambda.UpdateFunctionConfiguration(ctx, &service.UpdateFunctionConfigurationInput{FunctionName: name, Runtime: types.RuntimeProvidedal2023})
	ok(t, err)
	if spec := n.spec("pay"); changed.Runtime != types.RuntimeProvidedal2023 || spec["base"] != "host" {
		t.Errorf("with another runtime it is on %v", spec["base"])
	}
}

// static is a program that a Runtime API calls, and that needs no files: it tells its arguments and the code that it is shown.
func static(t *testing.T) []byte {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "entrypoint")
	build := exec.CommandContext(t.Context(), need.Program(t, "go"), "build", "-o", bin, "./testdata/entrypoint")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	content, err := os.ReadFile(bin)
	ok(t, err)
	return content
}
