package aws_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	sdk "github.com/aws/aws-sdk-go-v2/aws"
	service "github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/dalamb/dalamb/internal/app"
	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/config"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// TestMain lets this binary be a function by AWS's own runtime client: it answers with the event and what it knows of itself, or streams.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "handler" {
		lambda.Start(func(_ context.Context, event json.RawMessage) (map[string]any, error) {
			fmt.Println("code", os.Args[2])
			return map[string]any{"event": event, "version": lambdacontext.FunctionVersion, "handler": os.Getenv("_HANDLER"), "level": os.Getenv("LEVEL"), "code": os.Args[2]}, nil
		})
	}
	if len(os.Args) > 1 && os.Args[1] == "report" { // to whom os.Args[2] names, who decides whether it fails
		lambda.Start(func(ctx context.Context, event json.RawMessage) error {
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, os.Args[2], bytes.NewReader(event))
			if err != nil {
				return err
			}
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				return err
			}
			if err := answer.Body.Close(); err != nil || answer.StatusCode != http.StatusOK {
				return fmt.Errorf("status %d, %w", answer.StatusCode, err)
			}
			return nil
		})
	}
	if len(os.Args) > 1 && os.Args[1] == "stream" {
		lambda.Start(func(context.Context, json.RawMessage) (*events.LambdaFunctionURLStreamingResponse, error) {
			return &events.LambdaFunctionURLStreamingResponse{StatusCode: 202, Body: strings.NewReader("piece by piece")}, nil
		})
	}
	os.Exit(m.Run())
}

// node is a whole node in this process, whose functions nothing fences.
type node struct {
	*testing.T
	control string
	token   string
	client  *client.Client
	key     sdk.Credentials
	lambda  *service.Client // signs with an access key
	app     *app.Node
	config  config.Node // that it was started with
}

func startNode(t *testing.T) *node {
	t.Helper()
	return startNodeWith(t, "process")
}

func startNodeWith(t *testing.T, runner string, settings ...string) *node {
	t.Helper()
	data := t.TempDir()
	set := map[string]string{"data": data, "gateway": "127.0.0.1:0", "control": "127.0.0.1:0", "runner": runner}
	for i := 0; i+1 < len(settings); i += 2 {
		set[settings[i]] = settings[i+1]
	}
	c, err := config.Load(config.Source{Set: set})
	ok(t, err)
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	ready := make(chan struct{})
	n, err := app.New(t.Context(), app.Options{Config: c, Version: "test", Logger: logger, Ready: func(*app.Node) { close(ready) }})
	ok(t, err)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("the node ended with %v", err)
		}
		if t.Failed() {
			t.Logf("log of the node:\n%s", log.String())
		}
	})
	select {
	case <-ready:
	case err := <-done:
		done <- err
		t.Fatalf("the node ended: %v", err)
	}
	out := &node{T: t, control: n.Info().Control, app: n, config: *c}
	token, err := os.ReadFile(filepath.Join(data, app.TokenFile))
	ok(t, err)
	out.token = strings.TrimSpace(string(token))
	out.client, err = client.New(client.Options{Address: out.control, Token: out.token})
	ok(t, err)
	made, err := out.client.CreateToken(t.Context(), wire.TokenCreate{Name: "ci", AWS: true})
	ok(t, err)
	out.key = sdk.Credentials{AccessKeyID: made.AccessKeyID, SecretAccessKey: made.SecretAccessKey}
	out.lambda = out.as(out.key, function.AWSRegion)
	return out
}

// as is the AWS SDK's own client, with a key and a region.
func (n *node) as(key sdk.Credentials, region string) *service.Client {
	return service.New(service.Options{
		Region: region, BaseEndpoint: sdk.String(n.control), RetryMaxAttempts: 1,
		Credentials: sdk.CredentialsProviderFunc(func(context.Context) (sdk.Credentials, error) { return key, nil }),
	})
}

// archive is a zip whose bootstrap is this binary; code is what it says it is.
func archive(t *testing.T, code string) []byte {
	t.Helper()
	return archiveOf(t, "handler "+code)
}

// archiveOf is one whose bootstrap is this binary with arguments.
func archiveOf(t *testing.T, arguments string) []byte {
	t.Helper()
	self, err := os.Executable()
	ok(t, err)
	return zipped(t, map[string]string{"bootstrap": "#!/bin/sh\nexec '" + self + "' " + arguments + "\n"})
}

// zipped is an archive as it is made on Windows: nothing in it is executable.
func zipped(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range files {
		w, err := z.Create(name)
		ok(t, err)
		_, err = w.Write([]byte(text))
		ok(t, err)
	}
	ok(t, z.Close())
	return b.Bytes()
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
