package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/wire"
)

func imagesCommand(env *environment) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use:   "images",
		Short: "List the container images that the node keeps",
		Long: `List the container images that the node keeps: those that versions of functions run in, and those that were pushed to its registry.
SENT is how large an image is as registries have it, UNPACKED what its layers take on this node's disk; layers that several images have are
there once. USED BY are functions, with the numbers of their versions.

What deploys sent from files is removed an hour or two after the last version that has it; what was pushed stays until it is deleted in the
registry.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return inquiry[wire.ImageList]{
				func(node *client.Client) (wire.ImageList, error) { return node.Images(c.Context()) },
				func(w io.Writer, list *wire.ImageList) {
					if len(list.Images) == 0 {
						fmt.Fprintln(c.ErrOrStderr(), "no images; a function has one with image: or base: in its manifest")
						return
					}
					printImages(w, list)
				},
			}.run(c, env, &out)
		},
	}
	out.flag(c)
	return c
}

func printImages(w io.Writer, list *wire.ImageList) {
	var rows []row
	for _, img := range list.Images {
		unpacked := "-"
		if img.Unpacked > 0 {
			unpacked = bytesText(img.Unpacked)
		}
		r := cells(shortReference(img.References[0]), short(img.Digest, 19), bytesText(img.Bytes), unpacked, usedBy(img.Functions))
		for _, also := range img.References[1:] {
			r.notes = append(r.notes, "also "+also)
		}
		if img.Error != "" {
			r.notes = append(r.notes, "cannot be run on this node: "+img.Error)
		}
		rows = append(rows, r)
	}
	table(w, []string{"IMAGE", "DIGEST", "SENT", "UNPACKED", "USED BY"}, rows)
	fmt.Fprintf(w, "\non disk: %s unpacked, %s; content as it was sent, %s\n", count(int64(list.Layers), "layer"), bytesText(list.Unpacked), bytesText(list.Content))
}

// shortReference leaves most of a digest out, which stands beside it.
func shortReference(ref string) string {
	name, digest, ok := strings.Cut(ref, "@")
	if !ok {
		return ref
	}
	return name + "@" + short(digest, 12)
}

// usedBy is such as "pay:1, pay:2, report:3".
func usedBy(users []wire.ImageUser) string {
	var all []string
	for _, u := range users {
		for _, n := range u.Versions {
			all = append(all, u.Function+":"+strconv.Itoa(n))
		}
	}
	return orDash(strings.Join(all, ", "))
}
