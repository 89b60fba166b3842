package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"meibo/config"
)

func (p *program) configCommand() *cobra.Command {
	return p.group("config", "The server's own configuration", p.configPrintCommand(), p.configCheckCommand())
}

func (p *program) configPrintCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "print", Short: "Print the configuration that counts, without secrets", Args: cobra.NoArgs}
	asJSON := jsonFlag(cmd)
	settingFlags(cmd)
	cmd.RunE = p.action(func(cmd *cobra.Command, _ []string) error {
		c, err := p.configuration(cmd)
		switch {
		case err != nil:
			return err
		case *asJSON:
			return printJSON(p.stdout, config.Shown(c))
		}
		return config.Print(p.stdout, c)
	})
	return cmd
}

func (p *program) configCheckCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "check", Short: "Say all that is wrong with the configuration", Args: cobra.NoArgs}
	settingFlags(cmd)
	cmd.RunE = p.action(func(cmd *cobra.Command, _ []string) error {
		if _, err := p.configuration(cmd); err != nil {
			return err
		}
		fmt.Fprintln(p.stderr, "the configuration is sound")
		return nil
	})
	return cmd
}
