package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/bundle"
	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// traceExport is an export of an incident.
type traceExport struct {
	trace, event, topic, to string

	images bool
	most   string
}

// defaultImages is how much images may have that nobody has said a bound for.
const defaultImages = "2Gi"

func (t *traceExport) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&t.trace, "trace", "", "write the tree that the event, run or W3C trace of this `ID` belongs to")
	f.StringVar(&t.event, "event", "", "write the event of this `ID` and what came of it")
	f.StringVar(&t.topic, "topic", "", "with --trace or --event: look in this topic alone")
	f.BoolVar(&t.images, "with-images", false, "with --trace or --event: pack the images that the versions ran, so that no registry is needed to run them again")
	f.StringVar(&t.most, "max-images", defaultImages, "with --with-images: how many `BYTES` they may have together (512Mi, 8Gi, which is the most)")
	f.StringVarP(&t.to, "output", "o", "", "with --trace or --event: the `FILE` to write")
}

// check says whether an incident is wanted, and what is wrong with how it is asked for.
func (t *traceExport) check(c *cobra.Command, args []string) (asked bool, err error) {
	wrong := func(format string, args ...any) error {
		return usageError{c.CommandPath(), fmt.Errorf(format, args...)}
	}
	asked = t.trace != "" || t.event != ""
	switch {
	case t.trace != "" && t.event != "":
		return asked, wrong("--trace and --event exclude each other")
	case asked && len(args) > 0:
		return asked, wrong("%s: with --trace or --event one file is written, which -o names", args[0])
	case asked && t.to == "":
		return asked, wrong("-o FILE is missing: where the bundle goes")
	case !asked && (t.to != "" || t.topic != "" || t.images):
		return asked, wrong("-o, --topic and --with-images are for --trace and --event")
	case !t.images && c.Flags().Changed("max-images"):
		return asked, wrong("--max-images is for --with-images")
	case !asked && len(args) == 0:
		return asked, wrong("DIR is missing, or --trace ID")
	}
	return asked, nil
}

// write writes the file whole or not at all, for its owner alone: bodies of requests are in it.
func (t *traceExport) write(c *cobra.Command, env *environment) error {
	of := client.Export{ID: t.trace + t.event, Topic: t.topic, Causes: t.trace != ""}
	if t.images {
		var most function.Bytes
		if err := most.UnmarshalText([]byte(t.most)); err != nil || most < 1 {
			return usageError{c.CommandPath(), fmt.Errorf("--max-images %s: it is no size such as 512Mi or 8Gi", fault.Clip(t.most))}
		}
		of.Images = int64(most)
	}
	node, err := env.client()
	if err != nil {
		return err
	}
	if info, err := os.Stat(t.to); err == nil && !info.Mode().IsRegular() || t.to == "-" {
		return fault.New(fault.Invalid, "-o %s is no plain file, and a bundle is written as one", t.to).WithHint("name a file: it is written whole or not at all")
	}
	f, err := os.CreateTemp(filepath.Dir(t.to), ".dalamb-bundle-*")
	if err != nil {
		return fault.New(fault.Invalid, "-o %s: %w", t.to, err).WithHint("name a file in a directory that is there and can be written to")
	}
	defer os.Remove(f.Name()) // it is gone where all went well
	if err := errors.Join(node.Export(c.Context(), of, f), f.Sync(), f.Close()); err != nil {
		return err
	}
	b, err := bundle.Open(f.Name())
	if err != nil {
		return err
	}
	defer b.Close()
	info, err := os.Stat(f.Name())
	if err != nil {
		return err
	}
	if err := os.Rename(f.Name(), t.to); err != nil {
		return fmt.Errorf("name the bundle: %w", err)
	}
	t.tell(c.OutOrStdout(), b, info.Size())
	return nil
}

func (t *traceExport) tell(w io.Writer, b *bundle.Opened, size int64) {
	fmt.Fprintf(w, "%s: %s, %s, %s, %s, %s, %s\n", t.to, bytesText(size), count(int64(len(b.Events)), "event"), count(int64(len(b.Runs)), "run"),
		count(int64(len(b.Logs)), "log line"), count(int64(len(b.Functions)), "function"), count(int64(len(b.Config)), "configuration value"))
	for _, name := range b.Manifest.Secrets {
		fmt.Fprintf(w, "secret %s is not in it\n", name)
	}
	for i := range b.Functions {
		f := &b.Functions[i]
		for _, v := range f.Versions {
			if v.Image.Named() == "" {
				continue
			}
			what := "is not in it"
			if b.Packs(v.Image.Digest) {
				what = "is in it"
			}
			fmt.Fprintf(w, "image %s of %s, version %d, %s\n", clean(v.Image.Reference), f.Name, v.Number, what)
		}
	}
	if t.images && len(b.Manifest.Images) == 0 {
		fmt.Fprintln(w, "no version of it runs in an image")
	}
	for _, text := range b.Manifest.Missing {
		fmt.Fprintf(w, "missing: %s\n", clean(text))
	}
	fmt.Fprintf(w, "run it again: dalamb up --bundle %s\n", t.to)
}
