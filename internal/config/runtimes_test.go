package config

import (
	"strings"
	"testing"
)

func TestImagesOfRuntimes(t *testing.T) {
	n, err := Load(Source{Set: map[string]string{"aws.runtimes": "python3.12=public.ecr.aws/lambda/python:3.12, java21=registry.example.com/Java@sha256:00"}})
	if err != nil || len(n.AWS.Runtimes) != 2 || n.AWS.Runtimes["python3.12"] != "public.ecr.aws/lambda/python:3.12" || n.AWS.Runtimes["java21"] != "registry.example.com/Java@sha256:00" {
		t.Fatalf("aws.runtimes = %v, %v", n, err)
	}
	if got := n.AWS.Runtimes.String(); got != "[java21=registry.example.com/Java@sha256:00, python3.12=public.ecr.aws/lambda/python:3.12]" {
		t.Errorf("String = %s", got)
	}
	for text, want := range map[string]string{
		"python3.12":                    "is not RUNTIME=IMAGE",
		"Python 3=a/b":                  "is not RUNTIME=IMAGE",
		"python3.12=":                   "with its registry or its tag",
		"python3.12=python":             "with its registry or its tag",
		"python3.12=./python.tar":       "with its registry or its tag",
		"python3.12=a/b,python3.12=c/d": "names the runtime python3.12 twice",
	} {
		if _, err := Load(Source{Set: map[string]string{"aws.runtimes": text}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("aws.runtimes %q: %v, want %q", text, err, want)
		}
	}
}
