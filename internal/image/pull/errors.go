package pull

import (
	"context"
	"errors"
	"net"
	"net/http"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/dalamb/dalamb/internal/fault"
)

func badReference(ref string, err error) error {
	return fault.New(fault.Invalid, "%q is not a reference to an image: %w", ref, err).
		WithHint("such as registry.example.com/shop/pay:1.2 or registry.example.com/shop/pay@sha256:...")
}

func notAnImage(ref, why string) error {
	return fault.New(fault.Invalid, "image %s cannot be run: %s", ref, why).WithHint("it takes an image of Linux programs, as docker build or buildah make them")
}

func tooLarge(digest string, size int64) error {
	return fault.New(fault.TooLarge, "content %s has %d bytes; a manifest or config has at most %d", digest, size, maxSmall)
}

// notPushed says what to do about an image that is not in the node's own registry.
func notPushed(ref string, err error) error {
	if fault.KindOf(err) != fault.NotFound {
		return err
	}
	hint := "push it first; docs/registry.md says how"
	if known := fault.HintOf(err); known != "" {
		hint = known + "; " + hint
	}
	return fault.New(fault.NotFound, "there is no image %s in this node's registry: %w", ref, err).WithHint("%s", hint)
}

func gone(ref, digest string) error {
	return fault.New(fault.NotFound, "content %s of image %s is not here any more", digest, ref).WithHint("push the image again, then deploy")
}

// explain says for a person what a registry, or the way to it, said to us.
func explain(ref, host string, err error) error {
	var answer *transport.Error
	var network net.Error
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.As(err, &answer):
		return explainStatus(ref, host, answer)
	case errors.As(err, &network):
		return fault.New(fault.Unavailable, "registry %s cannot be reached: %w", host, err).
			WithHint("is %s right, and does the registry run? One that speaks plain HTTP is named in the node's setting registries", ref)
	case fault.KindOf(err) != fault.Internal:
		return err
	}
	return fault.New(fault.Unavailable, "registry %s did not give image %s as it should: %w", host, ref, err).WithHint("try again; if it stays so, push the image again")
}

func explainStatus(ref, host string, answer *transport.Error) error {
	switch answer.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		return fault.New(fault.Denied, "registry %s does not give image %s to who asks: %w", host, ref, answer).
			WithHint("the image may not exist, or the credentials are missing or wrong: docker login %s as the user who runs the node, or the node's setting registries", host)
	case http.StatusNotFound:
		return fault.New(fault.NotFound, "there is no image %s in registry %s", ref, host).WithHint("check its name and tag; was it pushed?")
	case http.StatusTooManyRequests:
		return fault.New(fault.Exhausted, "registry %s wants fewer requests: %w", host, answer).WithHint("try again later, or log in to it")
	}
	return fault.New(fault.Unavailable, "registry %s answered %d for image %s: %w", host, answer.StatusCode, ref, answer).WithHint("try again when the registry works")
}

// explainOwn says for a registry on this machine that cannot be reached what the node's own is called.
func (p *Puller) explainOwn(host string, err error) error {
	name, _, _ := net.SplitHostPort(host)
	ip := net.ParseIP(name)
	var f *fault.Error
	if p.o.Own == nil || fault.KindOf(err) != fault.Unavailable || name != "localhost" && (ip == nil || !ip.IsLoopback()) || !errors.As(err, &f) {
		return err
	}
	return f.WithHint("does a registry run there? This node's own is %s, whatever port it listens on", OwnHost)
}
