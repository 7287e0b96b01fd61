// Command package makes what is given away of a built program: a Debian package and an OCI image. Both are the same for the same program, version and time.
//
//	go run ./hack/package [-out dist] [-binary bin/dalamb] [-version V] [-time UNIX] deb image
package main

import (
	"context"
	"debug/buildinfo"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"time"
)

// program is what is packed.
type program struct {
	binary  string
	arch    string // as Go says it
	version string // of Debian's form: it begins with a digit
	made    time.Time
	out     string // directory
}

func main() {
	p := program{}
	flag.StringVar(&p.binary, "binary", "bin/dalamb", "the program")
	flag.StringVar(&p.out, "out", "dist", "the directory for what is made")
	flag.StringVar(&p.version, "version", "", "default: of the last tag, or of the commit")
	made := flag.Int64("time", 0, "when it was made, in seconds since 1970; default: when the commit was")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, &p, *made, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "package:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, p *program, made int64, kinds []string) error {
	if err := p.find(ctx, made); err != nil {
		return err
	}
	if err := os.MkdirAll(p.out, 0o755); err != nil {
		return fmt.Errorf("make the directory: %w", err)
	}
	for _, kind := range kinds {
		make := map[string]func(context.Context) (string, error){"deb": p.deb, "image": p.image}[kind]
		if make == nil {
			return fmt.Errorf("%q is neither deb nor image", kind)
		}
		at, err := make(ctx)
		if err != nil {
			return fmt.Errorf("make %s: %w", kind, err)
		}
		fmt.Println(at)
	}
	return nil
}

// find fills in what was not said.
func (p *program) find(ctx context.Context, made int64) error {
	info, err := buildinfo.ReadFile(p.binary)
	if err != nil {
		return fmt.Errorf("read the program (make build makes it): %w", err)
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "GOARCH":
			p.arch = s.Value
		case s.Key == "GOOS" && s.Value != "linux":
			return fmt.Errorf("%s is a program for %s; packages are for linux", p.binary, s.Value)
		case s.Key == "CGO_ENABLED" && s.Value != "0":
			return fmt.Errorf("%s takes the libraries of the machine that built it; build it with CGO_ENABLED=0", p.binary)
		}
	}
	if p.version == "" {
		if tag, err := git(ctx, "describe", "--tags", "--abbrev=0"); err == nil {
			p.version = strings.TrimPrefix(tag, "v")
		} else if commit, err := git(ctx, "rev-parse", "--short=12", "HEAD"); err != nil {
			return err
		} else {
			p.version = "0~" + commit
		}
	}
	if made == 0 {
		text, err := git(ctx, "log", "-1", "--format=%ct")
		if err != nil {
			return err
		}
		if made, err = strconv.ParseInt(text, 10, 64); err != nil {
			return fmt.Errorf("read the time of the commit: %w", err)
		}
	}
	p.made = time.Unix(made, 0).UTC()
	return nil
}

func git(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "git", args...).Output()
	if err != nil {
		return "", fmt.Errorf("ask git (or say -version and -time): %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}
