package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"meibo/provisioning"
)

func (p *program) connectionCommand() *cobra.Command {
	return p.group("connection", "Connections: the clients of a tenant, and how each is answered",
		p.connectionCreateCommand(), p.connectionListCommand(), p.connectionSetCommand(), p.connectionDebugCommand(), p.connectionHealthCommand())
}

func (p *program) connectionCreateCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "create --tenant T --name N", Short: "Add a connection with default settings", Args: cobra.NoArgs}
	tenant, name, asJSON := tenantFlag(cmd), nameFlag(cmd), jsonFlag(cmd)
	return p.administrative(cmd, func(ctx context.Context, s *provisioning.Service, _ *cobra.Command, _ []string) error {
		c, err := s.CreateConnection(ctx, commandLine(*tenant), *name)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(p.stdout, connectionView(c))
		}
		fmt.Fprintf(p.stderr, "created connection %s of tenant %s\n", c.Name, *tenant)
		return nil
	})
}

func (p *program) connectionListCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "list --tenant T", Short: "List the connections of a tenant and their settings", Args: cobra.NoArgs}
	tenant, asJSON := tenantFlag(cmd), jsonFlag(cmd)
	return p.administrative(cmd, func(ctx context.Context, s *provisioning.Service, _ *cobra.Command, _ []string) error {
		connections, err := s.Connections(ctx, *tenant)
		if err != nil {
			return err
		}
		if *asJSON {
			return printLines(p.stdout, connections, connectionView)
		}
		return printConnections(p.stdout, connections)
	})
}

func (p *program) connectionSetCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "set --tenant T --name N", Short: "Choose how a connection answers its client", Args: cobra.NoArgs,
		Long: "Choose how a connection answers its client. What is not named stays as it is; servers follow within a second.",
	}
	tenant, name, asJSON := tenantFlag(cmd), nameFlag(cmd), jsonFlag(cmd)
	response := cmd.Flags().String("patch-response", "", "what a PATCH answers: default (user 200, group 204), resource (always 200) or none (always 204)")
	members := cmd.Flags().String("unknown-members", "", "member ids that were never issued: refuse (default) or keep")
	unique := cmd.Flags().Bool("unique-group-names", true, "whether a group's displayName is unique")
	paused := cmd.Flags().Bool("paused", false, "whether the client is told to come back later (503), with nothing done")
	return p.administrative(cmd, func(ctx context.Context, s *provisioning.Service, cmd *cobra.Command, _ []string) error {
		changed := cmd.Flags().Changed
		if !changed("patch-response") && !changed("unknown-members") && !changed("unique-group-names") && !changed("paused") {
			return misuse("nothing to set; give --patch-response, --unknown-members, --unique-group-names or --paused")
		}
		c, err := s.SetConnection(ctx, commandLine(*tenant), *name, func(set *provisioning.ConnectionSettings) {
			if changed("patch-response") {
				set.PatchResponse = provisioning.PatchResponse(*response)
			}
			if changed("unknown-members") {
				set.UnknownMembers = provisioning.UnknownMembers(*members)
			}
			if changed("unique-group-names") {
				set.UniqueGroupNames = *unique
			}
			if changed("paused") {
				set.Paused = *paused
			}
		})
		switch {
		case err != nil && provisioning.KindOf(err) == provisioning.Invalid:
			return usageError{err}
		case err != nil:
			return err
		case *asJSON:
			return printJSON(p.stdout, connectionView(c))
		}
		return printConnections(p.stdout, []provisioning.Connection{c})
	})
}

func (p *program) connectionDebugCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "debug --tenant T --name N --for 1h", Short: "Capture every request of a connection for some time", Args: cobra.NoArgs,
		Long: "Capture every request of a connection, with its answer, for some time: reads that went well included. Otherwise writes and\n" +
			"failures alone are captured. The server needs a secret_key to seal them with. --for 0 ends it; servers follow within a second.",
	}
	tenant, name, asJSON := tenantFlag(cmd), nameFlag(cmd), jsonFlag(cmd)
	length := cmd.Flags().Duration("for", time.Hour, "for how long, 24h at most; 0 ends it")
	return p.administrative(cmd, func(ctx context.Context, s *provisioning.Service, _ *cobra.Command, _ []string) error {
		c, err := s.Debug(ctx, commandLine(*tenant), *name, *length)
		switch {
		case provisioning.KindOf(err) == provisioning.Invalid:
			return usageError{err}
		case err != nil:
			return err
		case *asJSON:
			return printJSON(p.stdout, connectionView(c))
		}
		return printConnections(p.stdout, []provisioning.Connection{c})
	})
}

func (p *program) connectionHealthCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "health --tenant T", Short: "Say how the connections of a tenant do, and what to look at", Args: cobra.NoArgs}
	tenant, asJSON := tenantFlag(cmd), jsonFlag(cmd)
	name := cmd.Flags().String("name", "", "only this connection")
	return p.administrative(cmd, func(ctx context.Context, s *provisioning.Service, _ *cobra.Command, _ []string) error {
		connections, err := s.Connections(ctx, *tenant)
		if err != nil {
			return err
		}
		if *name != "" {
			one, err := s.Connection(ctx, *tenant, *name)
			if err != nil {
				return err
			}
			connections = []provisioning.Connection{one}
		}
		t := newTable(p.stdout, "NAME", "HEALTH", "LAST REQUEST", "LAST SUCCESS", "WHAT TO LOOK AT")
		for _, c := range connections {
			h, err := s.Health(ctx, *tenant, c.Name)
			if err != nil {
				return err
			}
			var texts []string
			for _, f := range h.Findings {
				texts = append(texts, f.String())
			}
			if *asJSON {
				if err := printJSON(p.stdout, healthJSON{c.Name, string(h.Level), h.Hearing.Last, h.Hearing.Succeeded, append([]string{}, texts...)}); err != nil {
					return err
				}
				continue
			}
			t.row(c.Name, string(h.Level), moment(h.Hearing.Last), moment(h.Hearing.Succeeded), strings.Join(texts, " "))
		}
		if *asJSON {
			return nil
		}
		return t.flush()
	})
}

// healthJSON is a connection's health for programs; the API tells more.
type healthJSON struct {
	Name        string    `json:"name"`
	Level       string    `json:"level"`
	LastRequest time.Time `json:"lastRequest,omitzero"`
	LastSuccess time.Time `json:"lastSuccess,omitzero"`
	Findings    []string  `json:"findings"`
}

func nameFlag(cmd *cobra.Command) *string {
	name := cmd.Flags().String("name", "", "name of the connection")
	_ = cmd.MarkFlagRequired("name")
	return name
}

func printConnections(w io.Writer, all []provisioning.Connection) error {
	t := newTable(w, "NAME", "KIND", "PATCH RESPONSE", "UNKNOWN MEMBERS", "UNIQUE GROUP NAMES", "PAUSED", "DEBUG UNTIL", "CREATED")
	for _, c := range all {
		t.row(c.Name, c.Kind, string(c.Settings.PatchResponse), string(c.Settings.UnknownMembers),
			fmt.Sprint(c.Settings.UniqueGroupNames), fmt.Sprint(c.Settings.Paused), moment(c.DebugUntil), moment(c.Created))
	}
	return t.flush()
}

// connectionJSON is a connection for programs.
type connectionJSON struct {
	Name             string    `json:"name"`
	Kind             string    `json:"kind"`
	PatchResponse    string    `json:"patchResponse"`
	UnknownMembers   string    `json:"unknownMembers"`
	UniqueGroupNames bool      `json:"uniqueGroupNames"`
	Paused           bool      `json:"paused"`
	DebugUntil       time.Time `json:"debugUntil,omitzero"`
	Created          time.Time `json:"created"`
}

func connectionView(c provisioning.Connection) connectionJSON {
	return connectionJSON{c.Name, c.Kind, string(c.Settings.PatchResponse), string(c.Settings.UnknownMembers),
		c.Settings.UniqueGroupNames, c.Settings.Paused, c.DebugUntil, c.Created}
}
