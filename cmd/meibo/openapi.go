package main

import (
	"github.com/spf13/cobra"

	"meibo/web/api"
)

func (p *program) openapiCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "openapi", Short: "Print the OpenAPI 3.1 document of /api/v1", Args: cobra.NoArgs}
	cmd.RunE = p.action(func(*cobra.Command, []string) error {
		document, err := api.Document()
		if err != nil {
			return err
		}
		_, err = p.stdout.Write(document)
		return err
	})
	return cmd
}
