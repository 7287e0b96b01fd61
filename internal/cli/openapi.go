package cli

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/openapi"
)

func openapiCommand(env *environment) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "openapi [FUNCTION]",
		Short: "Print the routes as one OpenAPI document",
		Long: `Print all routes of the gateway, or those of one function, as one OpenAPI document of version 3.1: of routes with validate what their own documents say,
with schemas under the function's name, of the others method and path; who may call, as security. The gateway gives the same at /_/openapi.json to who has the node's
token. See docs/openapi.md.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if format != "yaml" && format != "json" {
				return fault.New(fault.Invalid, "-o %s is not known", format).WithHint("use -o yaml or -o json")
			}
			node, err := env.client()
			if err != nil {
				return err
			}
			name := ""
			if len(args) == 1 {
				name = args[0]
			}
			document, err := node.RoutesOpenAPI(c.Context(), env.env, name)
			if err != nil {
				return err
			}
			if format == "yaml" {
				document, err = openapi.YAML(document)
			} else {
				var b bytes.Buffer
				err = json.Indent(&b, document, "", "  ")
				document = b.Bytes()
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(c.OutOrStdout(), string(document))
			return err
		},
	}
	c.Flags().StringVarP(&format, "output", "o", "yaml", "yaml or json")
	c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"yaml", "json"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}
